"""The keeper's duty of asking whether running jobs are to be cancelled, and of telling those who run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from django_jobs.ports.broker import Broker
from django_jobs.worker.deaths import now_us
from django_jobs.worker.layout import ChildWord, Flag, Held, HeldJob
from django_jobs.worker.slots import ChildSlots, Shared

PERIOD_SECONDS: Final = 0.5
YOUNG_US: Final = 250_000
"""A job that has not run for so long is not asked for: most have ended before anybody could cancel them."""


class Cancels:
    """Asks the broker once in a while, in one short query, and only while something runs that is not young."""

    def __init__(self, broker: Broker, shared: Shared, poke_supervisor: Callable[[], None]) -> None:
        self._broker = broker
        self._shared = shared
        self._poke_supervisor = poke_supervisor

    def step(self) -> float:
        """Look once; return the seconds until the next look."""
        children = [child for child in self._shared.children if child[ChildWord.PID] and not child[ChildWord.DEATH]]
        found = [(child, child[ChildWord.INCARNATION], self._askable(child)) for child in children]
        ids = {job.id for _, _, jobs in found for job in jobs}
        answers = self._broker.cancels_of(ids) if ids else {}
        for child, incarnation, jobs in found:
            if child[ChildWord.CANCELS] or any(job.id in answers for job in jobs):
                self._tell(child, incarnation, jobs, answers)
        if any(answers.values()):
            self._poke_supervisor()
        return PERIOD_SECONDS

    def _askable(self, child: ChildSlots) -> list[HeldJob]:
        if not child[ChildWord.RUNNING]:
            return []
        limit_us = now_us() - YOUNG_US
        return [
            job
            for job in child.jobs()
            if job.state is Held.RUNNING and job.started_us < limit_us and Flag.TERMINATE not in job.flags
        ]

    def _tell(self, child: ChildSlots, incarnation: int, jobs: list[HeldJob], answers: Mapping[str, bool]) -> None:
        with child.locked() as taken:
            if not taken or child[ChildWord.INCARNATION] != incarnation:
                return
            for job in jobs:
                if job.id in answers:
                    child.flag(job.place, job.attempt, Flag.TERMINATE if answers[job.id] else Flag.CANCELLED)
            child.count_cancels()
