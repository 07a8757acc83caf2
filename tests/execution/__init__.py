"""Tests of django_jobs.execution."""
