"""`manage.py jobs_worker`: runworker under a name that no other app has (channels has a runworker, too)."""

from __future__ import annotations

from django_jobs.management.commands.runworker import Command

__all__ = ["Command"]
