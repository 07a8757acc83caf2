"""Cancelling jobs by what they are: the one road of the Python call, the commands and the admin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec

from django_jobs.client.task import Task
from django_jobs.connections import connections
from django_jobs.core.bounds import bounds_of, key_text
from django_jobs.core.outcome import JobView
from django_jobs.core.states import ENDED, State
from django_jobs.ports.broker import CancelAnswer
from django_jobs.signals import job_cancelled

PAGE: Final = 500


class CancelCounts(NamedTuple):
    """How many jobs were cancelled, by what that came to."""

    cancelled: int = 0
    """They waited, and never start."""
    requested: int = 0
    """A worker holds them; they end CANCELLED unless the run that is under way finishes them."""
    too_late: int = 0
    """They ended in between."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which live jobs are meant; what is None does not matter."""

    queue: str | None = None
    task: str | None = None
    state: State | None = None
    older_than_seconds: float | None = None
    """Enqueued longer ago, by the clock of this machine."""
    unique_key: str | None = None
    """As the call gave it; with `task`, whose key it is."""
    running: bool = False
    """Also those that a worker holds."""
    terminate: bool = False
    """End those, as `AsyncResult.cancel(terminate=True)` does."""

    @property
    def is_everything(self) -> bool:
        return self == Chosen(running=self.running, terminate=self.terminate)

    def pages(self) -> Iterator[list[JobView]]:
        """Yield the jobs that are meant, some hundreds at a time; those that are enqueued meanwhile may be left out.

        Raises:
            BrokerUnavailable: the broker cannot be reached.
        """
        before_us = None if self.older_than_seconds is None else (time.time() - self.older_than_seconds) * 1_000_000
        key = None if self.unique_key is None else key_text(self.task or "", self.unique_key)
        running = self.running or self.state is State.RUNNING
        after = ""
        while page := connections.broker.list(
            queue=self.queue, task=self.task, state=self.state, after=after, limit=PAGE
        ):
            yield [
                view
                for view in page
                if (running or view.state is not State.RUNNING)
                and not view.cancel_requested
                and (before_us is None or view.enqueued_us < before_us)
                and (key is None or _unique_key(view) == key)
            ]
            after = page[-1].place


def cancel_jobs(
    *,
    queue: str | None = None,
    task: Task[..., Any] | str | None = None,
    state: State | str | None = None,
    older_than: float | timedelta | None = None,
    unique_key: Any = None,
    running: bool = False,
    terminate: bool = False,
    everything: bool = False,
) -> CancelCounts:
    """Cancel every job that waits and fits all that is given; with `running` also ask those to end that run,
    with `terminate` end them.

    `older_than`: enqueued longer ago (seconds, or a timedelta). `unique_key` needs its `task`. Without any of these say
    `everything=True`. Each job is cancelled by itself: what was done before an error stays done, and jobs that are
    enqueued meanwhile may stay. One that a worker claims in between is asked to end, as by `AsyncResult.cancel`.

    Raises:
        ValueError: nothing says which jobs are meant, or a value cannot be.
        BrokerUnavailable: the broker cannot be reached (any more).
    """
    wanted = None if state is None else State(state)
    if wanted in ENDED:
        raise ValueError(f"A job that is {wanted} has ended: it cannot be cancelled.")
    if unique_key is not None and task is None:
        raise ValueError(f"unique_key={unique_key!r} is a key of one task: give that too, as task=.")
    seconds = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
    chosen = Chosen(
        queue=queue,
        task=task.name if isinstance(task, Task) else task,
        state=wanted,
        older_than_seconds=seconds,
        unique_key=unique_key,
        running=running or terminate,
        terminate=terminate,
    )
    if chosen.is_everything and not everything:
        raise ValueError("Which jobs? Give a queue, a task, a state, an age or a key; or everything=True.")
    return cancel_chosen(chosen)


def cancel_chosen(chosen: Chosen, *, at_most: int | None = None) -> CancelCounts:
    """Cancel the jobs that are meant, page by page; `at_most` so many."""
    answers = dict.fromkeys(CancelAnswer, 0)
    for page in _first(chosen, at_most):
        ids = [view.id for view in page]
        for view, answer in zip(page, connections.broker.cancel_many(ids, terminate=chosen.terminate), strict=True):
            answers[answer] += 1
            if answer is CancelAnswer.CANCELLED and job_cancelled.receivers:
                job_cancelled.send_robust(sender=view.task, job_id=view.id)
    return CancelCounts(
        cancelled=answers[CancelAnswer.CANCELLED],
        requested=answers[CancelAnswer.REQUESTED],
        too_late=answers[CancelAnswer.TOO_LATE] + answers[CancelAnswer.UNKNOWN],
    )


def count_chosen(chosen: Chosen, *, at_most: int | None = None) -> tuple[int, int]:
    """Return how many of the jobs that are meant wait, and how many run; `at_most` so many are looked at."""
    waiting = running = 0
    for page in _first(chosen, at_most):
        held = sum(view.state is State.RUNNING for view in page)
        waiting, running = waiting + len(page) - held, running + held
    return waiting, running


def _first(chosen: Chosen, at_most: int | None) -> Iterator[list[JobView]]:
    left = at_most
    for page in chosen.pages():
        yield page if left is None else page[:left]
        if left is not None:
            left -= len(page)
            if left <= 0:
                return


def _unique_key(view: JobView) -> str | None:
    bounds = bounds_of(view.body)
    return bounds.unique.key if bounds and bounds.unique else None
