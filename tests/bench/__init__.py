"""What django_jobs costs, measured beside the raw loop of the same store: `python -m tests.bench --help`."""
