"""`manage.py jobs_beat`: runbeat under a name that no other app has."""

from __future__ import annotations

from django_jobs.management.commands.runbeat import Command

__all__ = ["Command"]
