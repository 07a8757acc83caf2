"""Calls the hooks of jobs in their child once what they came to is stored: at most once, never for a stale end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

from django_jobs.core.outcome import Outcome
from django_jobs.execution import hygiene
from django_jobs.execution.surroundings import Surroundings
from django_jobs.worker.fetcher import Fetcher
from django_jobs.worker.settle import HeldClaim
from django_jobs.worker.slots import ChildSlots

LOOK_SECONDS: Final = 0.001
"""Between looks while another thread of this child is in the broker."""


class FollowUps:
    """Only jobs of tasks with hooks come here; each waits for its own settle."""

    def __init__(self, fetcher: Fetcher, slots: ChildSlots, surroundings: Surroundings) -> None:
        self._fetcher = fetcher
        self._slots = slots
        self._surroundings = surroundings
        self._pending = 0
        self._lock = threading.Lock()

    def run(self, held: HeldClaim, outcome: Outcome) -> None:
        """Call the hooks of a job that this thread has run and handed in; its connections are seen to as a job's."""
        if not self._is_stored(held):
            return
        assert held.plan is not None  # without a plan there are no hooks
        inside = hygiene.before_job()
        try:
            self._surroundings.follow_up(held.plan, outcome)
        finally:
            hygiene.after_job(inside, held.claim)

    async def run_async(self, held: HeldClaim, outcome: Outcome) -> None:
        """Do the same for a coroutine job, on its loop."""
        with self._lock:
            self._pending += 1
        try:
            if await asyncio.to_thread(self._is_stored, held):
                assert held.plan is not None
                await self._surroundings.follow_up_async(held.plan, outcome)
        finally:
            with self._lock:
                self._pending -= 1

    def wait(self) -> None:
        """Return when no hook of a coroutine job is left."""
        while self._pending:
            time.sleep(LOOK_SECONDS)

    def _is_stored(self, held: HeldClaim) -> bool:
        """Settle the job, or wait until it is; False where the broker has refused it."""
        number, job_id = held.claim.name.number, held.claim.message.id
        while self._slots.holds(held.index, number):
            self._fetcher.flush(claiming=False)
            if self._slots.holds(held.index, number):
                time.sleep(LOOK_SECONDS)
        if self._fetcher.settler.was_refused(job_id):
            self._surroundings.forget(job_id)
            return False
        return True
