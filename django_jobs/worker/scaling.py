"""The keeper's duty with --autoscale: looks what is busy and whether jobs wait, and says how many children to have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Final

from django_jobs.ports.broker import Broker
from django_jobs.worker.clock import boot_seconds
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.scale import Look, Scale
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import Shared

logger = logging.getLogger("django_jobs.worker")

LOOK_SECONDS: Final = 1.0


class Scaling:
    """Writes the number of children into the shared memory; the supervisor makes it so, and ends no busy one."""

    def __init__(self, setup: WorkerSetup, broker: Broker, shared: Shared, poke_supervisor: Callable[[], None]) -> None:
        options = setup.options
        assert options.autoscale is not None
        self._scale = Scale(*options.autoscale)
        self._runners = options.runners
        self._broker = broker
        self._shared = shared
        self._poke_supervisor = poke_supervisor
        self._served = QueueOrder(weights=options.queues, all_weights={}, excluded=options.excluded, random=Random())
        self._started: dict[int, int] = {}
        """Incarnation -> how many jobs it had started at the last look."""

    def step(self) -> float:
        """Look, decide, and say so; return the seconds until the next look.

        Raises:
            BrokerUnavailable: whether jobs wait cannot be told.
        """
        words = self._shared.words
        if self._shared.stopping or not words[Word.SESSION_OPEN]:
            return LOOK_SECONDS
        children, busy = words[Word.CHILDREN], self._count_busy()
        jobs_wait = busy >= children and not words[Word.QUIET] and self._served.serves(self._broker.ready_queues())
        wanted = self._scale.decide(Look(now=boot_seconds(), children=children, busy=busy, jobs_wait=jobs_wait))
        if wanted != children:
            why = "all are busy and jobs wait" if wanted > children else f"{busy} had something to do"
            noun = "child" if wanted == 1 else "children"
            logger.info("%d %s instead of %d: %s.", wanted, noun, children, why)
            words[Word.CHILDREN] = wanted
            self._poke_supervisor()
        return LOOK_SECONDS

    def _count_busy(self) -> int:
        """Count the children that run as many jobs as they have threads, or have started one since the last look."""
        seen: dict[int, int] = {}
        busy = 0
        for child in self._shared.children:
            if not child[ChildWord.PID] or child[ChildWord.DEATH] or child[ChildWord.DISMISSED]:
                continue
            incarnation, started = child[ChildWord.INCARNATION], child[ChildWord.STARTED]
            # Short jobs are seldom met running: most of their time is on the way to the broker.
            busy += child[ChildWord.RUNNING] >= self._runners or started > self._started.get(incarnation, started)
            seen[incarnation] = started
        self._started = seen
        return busy
