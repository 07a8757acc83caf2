"""Tables, one file each. Rows and querysets only: rules live in core, the SQL of the broker in backends/database."""

from __future__ import annotations

from django_jobs.models.claimed import Claimed
from django_jobs.models.definition import TaskDefinition
from django_jobs.models.due import Due
from django_jobs.models.job import Job
from django_jobs.models.limit import Limit
from django_jobs.models.lock import MaintenanceLock
from django_jobs.models.mark import Mark
from django_jobs.models.outbox import OutboxMessage
from django_jobs.models.pause import Pause
from django_jobs.models.progress import JobProgress
from django_jobs.models.ready import Ready
from django_jobs.models.result import JobResult
from django_jobs.models.schedule import PeriodicSchedule
from django_jobs.models.session import Session
from django_jobs.models.slot import Slot
from django_jobs.models.turn import Turn
from django_jobs.models.unique import UniqueKey

__all__ = [
    "Claimed",
    "Due",
    "Job",
    "JobProgress",
    "JobResult",
    "Limit",
    "MaintenanceLock",
    "Mark",
    "OutboxMessage",
    "Pause",
    "PeriodicSchedule",
    "Ready",
    "Session",
    "Slot",
    "TaskDefinition",
    "Turn",
    "UniqueKey",
]
