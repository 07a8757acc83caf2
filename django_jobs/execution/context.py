"""What the running job can know about itself: `current_job()` and a bound task's `self.request`."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django_jobs.core.progress import check_progress, check_state
from django_jobs.execution.cancels import is_cancelled
from django_jobs.execution.progress import tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run of one job, as the function sees it (Celery's `self.request`)."""

    id: str
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    """Failures before this run."""
    crashes: int = 0
    """Runs whose process died."""
    attempt: int = 1
    """Claims so far; only grows, and may skip numbers."""
    queue: str = "default"
    priority: int = 0
    eta: datetime | None = None
    expires: datetime | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the call overrode."""
    root_id: str | None = None
    parent_id: str | None = None
    worker: str = ""
    is_eager: bool = False
    called_directly: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has asked to cancel this job. It may go on, or end by raising `JobCancelled`.

        Cheap: it looks into memory, and may be asked in a loop. The worker hears of a cancel within about a second.
        """
        return is_cancelled(self.worker, self.id, self.attempt)

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far this job is, for `AsyncResult.progress`. Written at most once a second, and the last one always.

        Raises:
            InvalidProgress: more is done than there is, or a number cannot be.
        """
        tell(self.worker, self.id, self.attempt, check_progress(done, total, message))

    def update_state(self, *, state: str | None = None, meta: Any = None) -> None:
        """Say what state of its own this job is in, with plain values beside it; None leaves one as it was.

        Raises:
            InvalidProgress: the name of the state is no short text, or `meta` is too large.
            SerializationError: JSON cannot carry `meta`.
        """
        tell(self.worker, self.id, self.attempt, check_state(state, meta))


_current: ContextVar[Request | None] = ContextVar("django_jobs_current", default=None)


def current_job() -> Request | None:
    """Return the job that this thread or coroutine runs, or None outside of one."""
    return _current.get()


set_current = _current.set
reset_current = _current.reset
