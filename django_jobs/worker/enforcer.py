"""The supervisor's side of limits of time and of cancels: signals jobs first, and kills their process in the end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django_jobs.worker.layout import ChildWord, Flag, Held, HeldJob, Word
from django_jobs.worker.slots import ChildSlots, Shared

logger = logging.getLogger("django_jobs.worker")

LOOK_SECONDS: Final = 0.5
"""The supervisor looks at least so often; a limit that is reached sooner comes with a poke."""
AGAIN_SECONDS: Final = 0.1
"""Between signals to a job that is to end: one that comes while its function is not inside is for nobody."""


@dataclass(slots=True)
class Running:
    """A child that lives."""

    pid: int
    slots: ChildSlots
    killed: bool = False
    """We have sent SIGKILL: its death is no crash of what it ran."""


class Enforcer:
    """Keeps the limits of all children. Costs a look at one word per child where no job has any."""

    def __init__(self, shared: Shared, *, kills: bool = True, cancel_grace_seconds: float = 3.0) -> None:
        self._shared = shared
        self._kills = kills
        self._cancel_grace_seconds = cancel_grace_seconds
        self._next_at = float("inf")
        self._doomed: dict[tuple[int, int, int], float] = {}
        """(pid, place, attempt) of each job that is to end -> when it is killed with its process."""

    def watch(self, children: Iterable[Running], now: float) -> None:
        """Enforce what is due; a child that is killed is marked so, and its job too, before the signal is sent."""
        self._shared.floats[Word.LIMITS_AT] = now + LOOK_SECONDS
        self._next_at = float("inf")
        before, self._doomed = self._doomed, {}
        for child in children:
            if (child.slots[ChildWord.LIMITED] or child.slots[ChildWord.CANCELS]) and not child.killed:
                self._watch_child(child, now, before)

    def seconds_left(self, now: float) -> float:
        """Return how long after `now` the next limit is reached that `watch` has seen; infinite for none."""
        return max(0.0, self._next_at - now)

    def _watch_child(self, child: Running, now: float, doomed: Mapping[tuple[int, int, int], float]) -> None:
        with child.slots.locked() as taken:
            if not taken:  # somebody was stopped or has died with it: the next look is soon enough
                self._doomed.update((key, at) for key, at in doomed.items() if key[0] == child.pid)
                return
            running = [job for job in child.slots.jobs() if job.state is Held.RUNNING]
            limited = [job for job in running if Flag.LIMITED in job.flags]
            for job in limited:
                if self._kills and 0 < job.hard_at <= now:
                    child.slots.flag(job.place, job.attempt, Flag.HARD_DUE)
                    self._kill(child, job, "has reached its hard limit of time")
                    return
            for job in running:
                if Flag.TERMINATE in job.flags and self._end(child, job, now, doomed):
                    return
            for job in limited:
                self._warn(child, job, now)

    def _end(self, child: Running, job: HeldJob, now: float, doomed: Mapping[tuple[int, int, int], float]) -> bool:
        """Signal a job that is to end, or kill its process once its grace is over; say whether it was killed."""
        key = child.pid, job.place, job.attempt
        kill_at = self._doomed[key] = doomed.get(key, now + self._cancel_grace_seconds)
        if self._kills and kill_at <= now:
            self._kill(child, job, "was cancelled and has not ended")
            return True
        self._next_at = min(self._next_at, now + AGAIN_SECONDS)
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGUSR1)
        return False

    def _warn(self, child: Running, job: HeldJob, now: float) -> None:
        if self._kills and job.hard_at:
            self._next_at = min(self._next_at, job.hard_at)
        if not job.soft_at or Flag.SOFT_DUE in job.flags:
            return
        if job.soft_at > now:
            self._next_at = min(self._next_at, job.soft_at)
            return
        child.slots.flag(job.place, job.attempt, Flag.SOFT_DUE)
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGUSR1)

    def _kill(self, child: Running, job: HeldJob, why: str) -> None:
        logger.error(
            "Job %s %s: process %d is killed and replaced.",
            job.id,
            why,
            child.pid,
            extra={"job_id": job.id},
        )
        child.killed = True
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
