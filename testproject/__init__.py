"""A Django project that uses django_jobs: the demo, the examples of the documentation, the tests' subject."""
