"""What a task with bind=True gets as `self`: its request, its options and `retry`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from django_jobs.core.options import TaskOptions, check_max_retries, check_seconds
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import InvalidOption, Retry, Snooze
from django_jobs.execution.context import Request


class Unset:
    """The type of UNSET."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""Stands for an argument that was not given where None means something."""


def build_retry(
    *,
    exc: BaseException | None = None,
    countdown: float | timedelta | None = None,
    eta: datetime | None = None,
    max_retries: int | Unset | None = UNSET,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    now: datetime,
) -> Retry:
    """Return the `Retry` that `self.retry` raises; `countdown` in seconds, `eta` aware; `args` None for the same again.

    Raises:
        InvalidOption: a value that cannot be, or both `countdown` and `eta`.
    """
    if countdown is not None and eta is not None:
        raise InvalidOption("retry() got both countdown and eta. Give one of them.")
    try:
        wait = None if countdown is None else check_seconds(countdown)
        limit = None if isinstance(max_retries, Unset) else check_max_retries(max_retries)
    except ValueError as error:
        raise InvalidOption(f"retry(countdown={countdown!r}, max_retries={max_retries!r}): {error}") from None
    if eta is not None:
        if eta.tzinfo is None:
            raise InvalidOption(f"retry(eta={eta!r}) is naive. Pass an aware datetime, as django.utils.timezone.now().")
        wait = max(0.0, (eta - now).total_seconds())
    return Retry(error=exc, countdown=wait, max_retries=limit, forever=max_retries is None, args=args, kwargs=kwargs)


class BoundTask:
    """The first argument of a bound task while one of its jobs runs."""

    __slots__ = ("_spec", "options", "request")

    def __init__(self, spec: TaskSpec, options: TaskOptions, request: Request) -> None:
        self._spec = spec
        self.options = options
        self.request = request

    @property
    def name(self) -> str:
        """The task's name."""
        return self._spec.name

    @property
    def max_retries(self) -> int | None:
        """Retries after the first run, as this job has them; None for ever."""
        return self.options.max_retries

    def retry(
        self,
        exc: BaseException | None = None,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        max_retries: int | Unset | None = UNSET,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        """Run this job again: raises `Retry`, which the worker turns into the next attempt.

        `countdown` is in seconds; without it and `eta` the task's options say how long to wait. `args` and `kwargs`
        take the place of the job's own from now on.
        Once no retries are left the job fails with `exc`, or with MaxRetriesExceededError where none is given.
        """
        raise build_retry(
            exc=exc,
            countdown=countdown,
            eta=eta,
            max_retries=max_retries,
            args=args,
            kwargs=kwargs,
            now=datetime.now(UTC),
        ) from exc

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far this job is; see `Request.update_progress`."""
        self.request.update_progress(done, total, message)

    def update_state(self, *, state: str | None = None, meta: Any = None) -> None:
        """Say what state of its own this job is in; see `Request.update_state`."""
        self.request.update_state(state=state, meta=meta)

    def snooze(self, countdown: float | timedelta, reason: str = "") -> NoReturn:
        """Run this job again after `countdown` seconds, without a failure: raises `Snooze`."""
        raise Snooze(countdown, reason)

    def __getattr__(self, name: str) -> Any:
        """Find the rest (`delay`, `apply_async`, ...) on what `@job` returned."""
        if name.startswith("_") or self._spec.task is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self._spec.task, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself again, with this same `self`."""
        return self._spec.function(self, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<BoundTask {self._spec.name} of job {self.request.id}>"
