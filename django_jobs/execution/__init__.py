"""Running one job, wherever it runs."""
