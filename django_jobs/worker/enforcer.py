"""The supervisor's side of the limits of time: signals jobs at the soft one, kills their process at the hard one."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django_jobs.worker.layout import ChildWord, Flag, Held, HeldJob, Word
from django_jobs.worker.slots import ChildSlots, Shared

logger = logging.getLogger("django_jobs.worker")

LOOK_SECONDS: Final = 0.5
"""The supervisor looks at least so often; a limit that is reached sooner comes with a poke."""


@dataclass(slots=True)
class Running:
    """A child that lives."""

    pid: int
    slots: ChildSlots
    killed: bool = False
    """We have sent SIGKILL: its death is no crash of what it ran."""


class Enforcer:
    """Keeps the limits of all children. Costs a look at one word per child where no job has any."""

    def __init__(self, shared: Shared, *, kills: bool = True) -> None:
        self._shared = shared
        self._kills = kills
        self._next_at = float("inf")

    def watch(self, children: Iterable[Running], now: float) -> None:
        """Enforce what is due; a child that is killed is marked so, and its job too, before the signal is sent."""
        self._shared.floats[Word.LIMITS_AT] = now + LOOK_SECONDS
        self._next_at = float("inf")
        for child in children:
            if child.slots[ChildWord.LIMITED] and not child.killed:
                self._watch_child(child, now)

    def seconds_left(self, now: float) -> float:
        """Return how long after `now` the next limit is reached that `watch` has seen; infinite for none."""
        return max(0.0, self._next_at - now)

    def _watch_child(self, child: Running, now: float) -> None:
        with child.slots.locked() as taken:
            if not taken:  # somebody was stopped or has died with it: the next look is soon enough
                return
            limited = [job for job in child.slots.jobs() if job.state is Held.RUNNING and Flag.LIMITED in job.flags]
            for job in limited:
                if self._kills and 0 < job.hard_at <= now:
                    self._kill(child, job)
                    return
            for job in limited:
                self._warn(child, job, now)

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

    def _kill(self, child: Running, job: HeldJob) -> None:
        logger.error(
            "Job %s has reached its hard limit of time: process %d is killed and replaced.",
            job.id,
            child.pid,
            extra={"job_id": job.id},
        )
        child.slots.flag(job.place, job.attempt, Flag.HARD_DUE)
        child.killed = True
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
