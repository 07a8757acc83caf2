"""Tests of django_jobs.worker."""
