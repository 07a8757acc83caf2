"""Background jobs, schedules, results and their admin for Django.

The public names are loaded at their first use, so that this package can be imported before the app registry is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_jobs.client.cancelling import CancelCounts, cancel_jobs
    from django_jobs.client.control import OrderAnswer, WorkerHandle, workers
    from django_jobs.client.decorator import job, shared_task
    from django_jobs.client.pausing import pause_queue, pause_task, paused, resume_queue, resume_task
    from django_jobs.client.result import AsyncResult
    from django_jobs.client.task import Task, enqueue
    from django_jobs.core.crontab import crontab
    from django_jobs.core.every import every
    from django_jobs.core.pause import Pause
    from django_jobs.core.states import State
    from django_jobs.exceptions import (
        BrokerError,
        BrokerFull,
        BrokerUnavailable,
        DuplicateTask,
        EnqueueError,
        Ignore,
        InvalidArguments,
        InvalidMessage,
        InvalidOption,
        InvalidOptions,
        InvalidProgress,
        InvalidSchedule,
        JobCancelled,
        JobExpired,
        JobFailed,
        JobsError,
        MaxRetriesExceededError,
        NotMigrated,
        PayloadTooLarge,
        Reject,
        ResultError,
        ResultNotStored,
        ResultTimeout,
        Retry,
        SerializationError,
        Snooze,
        SoftTimeLimitExceeded,
        TaskError,
        TaskNotRegistered,
        TimeLimitExceeded,
        TransactionBroken,
        UniqueConflict,
        WorkerLostError,
    )
    from django_jobs.execution.context import current_job
    from django_jobs.ports.broker import CancelAnswer

__version__ = "0.1.0"

__all__ = [
    "AsyncResult",
    "BrokerError",
    "BrokerFull",
    "BrokerUnavailable",
    "CancelAnswer",
    "CancelCounts",
    "DuplicateTask",
    "EnqueueError",
    "Ignore",
    "InvalidArguments",
    "InvalidMessage",
    "InvalidOption",
    "InvalidOptions",
    "InvalidProgress",
    "InvalidSchedule",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "JobsError",
    "MaxRetriesExceededError",
    "NotMigrated",
    "OrderAnswer",
    "Pause",
    "PayloadTooLarge",
    "Reject",
    "ResultError",
    "ResultNotStored",
    "ResultTimeout",
    "Retry",
    "SerializationError",
    "Snooze",
    "SoftTimeLimitExceeded",
    "State",
    "Task",
    "TaskError",
    "TaskNotRegistered",
    "TimeLimitExceeded",
    "TransactionBroken",
    "UniqueConflict",
    "WorkerHandle",
    "WorkerLostError",
    "cancel_jobs",
    "crontab",
    "current_job",
    "enqueue",
    "every",
    "job",
    "pause_queue",
    "pause_task",
    "paused",
    "resume_queue",
    "resume_task",
    "shared_task",
    "workers",
]

_HOMES = {
    "AsyncResult": "django_jobs.client.result",
    "CancelAnswer": "django_jobs.ports.broker",
    "CancelCounts": "django_jobs.client.cancelling",
    "OrderAnswer": "django_jobs.client.control",
    "Pause": "django_jobs.core.pause",
    "State": "django_jobs.core.states",
    "Task": "django_jobs.client.task",
    "WorkerHandle": "django_jobs.client.control",
    "cancel_jobs": "django_jobs.client.cancelling",
    "crontab": "django_jobs.core.crontab",
    "current_job": "django_jobs.execution.context",
    "enqueue": "django_jobs.client.task",
    "every": "django_jobs.core.every",
    "job": "django_jobs.client.decorator",
    "pause_queue": "django_jobs.client.pausing",
    "pause_task": "django_jobs.client.pausing",
    "paused": "django_jobs.client.pausing",
    "resume_queue": "django_jobs.client.pausing",
    "resume_task": "django_jobs.client.pausing",
    "shared_task": "django_jobs.client.decorator",
    "workers": "django_jobs.client.control",
}
"""Public name -> module; a name that is not here is an exception."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "django_jobs.exceptions")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
