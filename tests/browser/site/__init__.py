"""The app whose tasks these tests run."""
