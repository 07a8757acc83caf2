"""Every error that django_jobs raises, and the exceptions that a job may raise to steer itself.

    JobsError
    |-- TaskError                     a task is declared wrongly
    |   |-- InvalidOptions            (also ValueError)
    |   |-- DuplicateTask
    |   |-- InvalidSchedule           (also ValueError)
    |   `-- TaskNotRegistered         (also LookupError)
    |-- EnqueueError                  a call could not become a job; nothing was enqueued
    |   |-- InvalidArguments          (also TypeError)
    |   |-- InvalidOption             (also TypeError): a name or a value of apply_async
    |   |-- SerializationError        (also TypeError)
    |   |   `-- PayloadTooLarge       (also ValueError)
    |   `-- UniqueConflict            another job holds the key
    |-- InvalidMessage                stored text that is not a message of ours
    |-- BrokerError
    |   |-- BrokerUnavailable         (also ConnectionError)
    |   |   `-- NotMigrated
    |   `-- BrokerFull
    |-- InvalidProgress              (also ValueError): a job says that more is done than there is
    |-- ResultError
    |   |-- JobFailed
    |   |   `-- MaxRetriesExceededError
    |   |-- JobCancelled
    |   |-- JobExpired
    |   |-- ResultTimeout             (also TimeoutError)
    |   `-- ResultNotStored
    |-- SoftTimeLimitExceeded         raised inside a job at its soft limit of time
    |-- TimeLimitExceeded             recorded when a job was killed at its hard limit of time
    |-- WorkerLostError               recorded when the process that ran a job has died
    |-- Retry                         raised by `self.retry`: run this job again
    |-- Snooze                        raised by a job: run it later, without a failure
    |-- Ignore                        raised by a job: it is done, with nothing to return
    `-- Reject                        raised by a job: it has failed for good
        `-- TransactionBroken         an atomic job has ended its own transaction

Wrong settings raise `django_jobs.conf.InvalidSettings`, which is Django's ImproperlyConfigured too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any


class JobsError(Exception):
    """Base of every error of django_jobs."""


class TaskError(JobsError):
    """Raised when a task is declared wrongly."""


class InvalidOptions(TaskError, ValueError):
    """Raised when an option of `@job` is unknown, of the wrong type or out of its range."""


class DuplicateTask(TaskError):
    """Raised when two functions are registered under one task name."""


class InvalidSchedule(TaskError, ValueError):
    """Raised when a schedule cannot be: a crontab line, an interval, a time zone or an entry of SCHEDULES."""


class TaskNotRegistered(TaskError, LookupError):
    """Raised when a name is looked up that no `@job` has registered in this process."""


class EnqueueError(JobsError):
    """Raised when a call cannot become a job. Nothing was enqueued."""


class InvalidArguments(EnqueueError, TypeError):
    """Raised when the arguments of a call do not fit the task's signature."""


class InvalidOption(EnqueueError, TypeError):
    """Raised when `apply_async` or `using` is given an unknown option or a value out of its range."""


class SerializationError(EnqueueError, TypeError):
    """Raised when a value cannot be carried as JSON; its text names the path, as `kwargs.user.created`."""


class PayloadTooLarge(SerializationError, ValueError):
    """Raised when the encoded arguments of a job exceed MAX_PAYLOAD_BYTES."""


class UniqueConflict(EnqueueError):
    """Raised when another job holds the unique key of a task with unique_conflict="raise"; `job_id` is its id."""

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class InvalidMessage(JobsError, ValueError):
    """Raised when stored text is not a message that this version reads."""


class BrokerError(JobsError):
    """Raised when the broker refuses or cannot be used."""


class BrokerUnavailable(BrokerError, ConnectionError):
    """Raised when the broker cannot be reached; whether a write was done may be unknown."""


class NotMigrated(BrokerUnavailable):
    """Raised when the tables of django_jobs do not exist or are not up to date."""


class BrokerFull(BrokerError):
    """Raised when the broker has no room left. Nothing was enqueued; it is safe to try again."""


class InvalidProgress(JobsError, ValueError):
    """Raised in a job whose `update_progress` or `update_state` cannot be: more is done than there is, for example."""


class ResultError(JobsError):
    """Raised by `AsyncResult.get` when there is no value to return."""


class JobFailed(ResultError):
    """Raised by `get` for a job that failed; says the original class, message and traceback as text."""

    def __init__(self, message: str, *, error_class: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.error_class = error_class
        self.traceback = traceback


class MaxRetriesExceededError(JobFailed):
    """Raised by `self.retry` without an error of its own when no retries are left."""


class JobCancelled(ResultError):
    """Raised by `get` for a job that was cancelled.

    Also raised inside a running job that is terminated, and by a job that ends itself because it was asked to.
    """


class JobExpired(ResultError):
    """Raised by `get` for a job that had not started when it expired."""


class ResultTimeout(ResultError, TimeoutError):
    """Raised by `get` when the job has not ended within the timeout. The job goes on."""


class ResultNotStored(ResultError):
    """Raised by `get` for an id of which neither the broker nor the result store knows anything."""


class SoftTimeLimitExceeded(JobsError):
    """Raised inside a job once it has run for its `soft_time_limit`; a job that lets it through has failed."""


class TimeLimitExceeded(JobsError):
    """Recorded (never raised) when a job has run for its `time_limit` and was killed with its process."""


class WorkerLostError(JobsError):
    """Recorded (never raised) when the process that ran a job has died."""


class Retry(JobsError):
    """Raised by `self.retry` to run the job again; may also be raised or returned by the job itself.

    `countdown` is in seconds; None takes the delay from the task's options. `error` is the exception that is
    recorded with the attempt. `args` and `kwargs` take the place of the job's own in all runs that follow. The other
    fields override the job's own for the next attempt.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error: BaseException | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        forever: bool = False,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message or (f"retry: {type(error).__name__}" if error else "retry"))
        self.error = error
        self.countdown = countdown
        self.max_retries = max_retries
        self.forever = forever
        self.args_again = args
        self.kwargs_again = kwargs


class Snooze(JobsError):
    """Raised or returned by a job to run again after `countdown` seconds, without counting a failure."""

    def __init__(self, countdown: float | timedelta = 0.0, reason: str = "") -> None:
        seconds = countdown.total_seconds() if isinstance(countdown, timedelta) else float(countdown)
        super().__init__(reason or f"snooze for {seconds:g} s")
        self.countdown = max(0.0, seconds)


class Ignore(JobsError):
    """Raised by a job that has nothing to do (any more): it ends SUCCEEDED and returns None."""


class Reject(JobsError):
    """Raised by a job that no retry can help: it ends FAILED, whatever `retry_on` says.

    With `requeue` it goes to the end of its line instead, uncharged, as `Snooze(0)` does. (Celery's exception.)
    """

    def __init__(self, reason: object = "", requeue: bool = False) -> None:
        super().__init__(str(reason) if reason else "rejected")
        self.requeue = requeue


class TransactionBroken(Reject):
    """Raised at the end of an atomic job that has committed, rolled back or closed its own transaction.

    The job has failed for good: what it had written by then may be stored, and would be written again by another run.
    """
