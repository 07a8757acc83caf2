"""A child's side of limits of time and of cancels: it publishes when limits are reached, and raises in the job.

The supervisor does the rest (see `enforcer`): no timer runs in the child, and a job without limits pays nothing.
"""

from __future__ import annotations

import logging
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from django_jobs.exceptions import JobCancelled, SoftTimeLimitExceeded
from django_jobs.execution.limits import Cancel, Limits
from django_jobs.worker.interrupts import place_inside
from django_jobs.worker.layout import ChildWord, Flag, Held, Word
from django_jobs.worker.slots import ChildSlots, Shared

logger = logging.getLogger("django_jobs.worker")


class Deadlines(Limits):
    """The limits of the jobs of one child. Soft ones of plain functions are kept for jobs in the main thread only."""

    def __init__(
        self,
        *,
        shared: Shared,
        slots: ChildSlots,
        poke_supervisor: Callable[[], None],
        clock: Callable[[], float],
        in_main_thread: bool,
        cancel_coroutine: Callable[[int], None] = lambda place: None,
    ) -> None:
        self._shared = shared
        self._slots = slots
        self._poke_supervisor = poke_supervisor
        self._clock = clock
        self._in_main_thread = in_main_thread
        self._armed: tuple[int, float] | None = None
        """Place and soft limit of the job whose function the main thread is inside of."""
        self._cancel_coroutine = cancel_coroutine
        self._told: dict[int, tuple[int, int]] = {}
        """Place -> (claim, attempt) of the last job there in which a cancel was raised: it is raised once."""
        self._take_signal()

    def begin(self, place: int, *, soft_seconds: float | None, hard_seconds: float | None) -> None:
        now = self._clock()
        soft_at = now + soft_seconds if soft_seconds is not None and self._in_main_thread else 0.0
        hard_at = now + hard_seconds if hard_seconds is not None else 0.0
        if not soft_at and not hard_at:
            return
        self._slots.limit(place, soft_at=soft_at, hard_at=hard_at)
        # The supervisor writes that word before it looks at the table, so that it either sees the limits or is poked.
        if min(soft_at or hard_at, hard_at or soft_at) < self._shared.floats[Word.LIMITS_AT]:
            self._poke_supervisor()

    def arm(self, place: int, soft_seconds: float | None) -> None:
        if soft_seconds is not None and self._in_main_thread:
            self._armed = place, soft_seconds

    def disarm(self) -> None:
        self._armed = None

    def end(self, place: int) -> None:
        self._slots.unlimit(place)

    def cancel_of(self, place: int) -> Cancel:
        flags = self._slots.cancel_of(place)
        if not flags:
            return Cancel.NONE
        return Cancel.TERMINATED if Flag.TERMINATE in flags else Cancel.REQUESTED

    def _take_signal(self) -> None:
        with suppress(AttributeError, ValueError):  # Windows has no such signal; another thread than the main one
            signal.signal(signal.SIGUSR1, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Raise in the job that the supervisor meant; a signal that comes after its end is for nobody."""
        if self._slots[ChildWord.CANCELS]:
            self._heed_cancels(frame)
        armed = self._armed
        if armed is None or not self._slots.is_soft_due(armed[0]):
            return
        self._armed = None
        text = f"The job has reached its soft limit of {armed[1]:g} s."
        logger.warning("%s It was here:\n%s", text, "".join(traceback.format_stack(frame, limit=20)).rstrip())
        raise SoftTimeLimitExceeded(text)

    def _heed_cancels(self, frame: FrameType | None) -> None:
        """End coroutine jobs on their loop, and the job in this thread by an exception.

        Jobs in other threads cannot be interrupted: their process is killed when the grace is over.
        """
        here = place_inside(frame, self)
        doomed = ""
        for job in self._slots.jobs():
            if job.state is not Held.RUNNING or Flag.TERMINATE not in job.flags:
                continue
            if self._told.get(job.place) == (job.number, job.attempt):
                continue
            if job.place != here:
                self._cancel_coroutine(job.place)
                continue
            self._told[job.place] = job.number, job.attempt
            doomed = job.id
        if doomed:
            logger.warning(
                "Job %s is cancelled. It was here:\n%s",
                doomed,
                "".join(traceback.format_stack(frame, limit=8)).rstrip(),
                extra={"job_id": doomed},
            )
            raise JobCancelled("Somebody has cancelled this job while it ran.")
