"""What one worker of all does about once a minute: prune results, sweep marks. In small batches, under a lock."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from random import Random
from typing import Final

from django_jobs.core.policy import Policy
from django_jobs.core.spec import TaskSpec
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.ports.lock import Lock
from django_jobs.ports.result_store import ResultStore
from django_jobs.worker.shortlived import ShortLived, by_ttl

logger = logging.getLogger("django_jobs.worker")

EVERY_SECONDS: Final = 60.0
BATCH: Final = 1000
MAX_BATCHES: Final = 5
"""Per round and kind: a round stays short, so that renewals are on time."""
LET_IN_SECONDS: Final = 5.0
LET_IN_KEYS: Final = 100
LOCK_NAME: Final = "maintenance"


class Maintenance:
    """Prunes with RESULT_TTL_SECONDS (successes, cancelled, expired), FAILED_RESULT_TTL_SECONDS and `result_ttl`."""

    def __init__(
        self,
        *,
        broker: Broker,
        results: ResultStore,
        lock: Lock,
        policy: Policy,
        specs: Iterable[TaskSpec],
        owner: str,
        random: Random,
    ) -> None:
        ttls = by_ttl(specs, defaults=policy.task_defaults, longest=policy.result_ttl_seconds)
        self._short_lived = ShortLived(results, ttls)
        self._broker = broker
        self._results = results
        self._lock = lock
        self._policy = policy
        self._owner = owner
        self._random = random

    def first_seconds(self) -> float:
        """Return when to begin after the start: not all workers at once."""
        return self._random.uniform(0.1, 1.0) * EVERY_SECONDS

    def step(self) -> float:
        """Do one round, if no other worker is at it; return the seconds until the next.

        Raises:
            BrokerUnavailable: a store cannot be reached.
        """
        wait = EVERY_SECONDS * self._random.uniform(0.8, 1.2)
        if not self._lock.acquire(LOCK_NAME, owner=self._owner, hold_seconds=EVERY_SECONDS):
            return wait
        try:
            pruned, more = self._prune()
            sooner, more_sooner = self._short_lived.step()
            swept = self._sweep()
        finally:
            self._lock.release(LOCK_NAME, owner=self._owner)
        if pruned or sooner or swept:
            logger.debug("Pruned %d results, swept %d marks.", pruned + sooner, swept)
        return 1.0 if more or more_sooner else wait

    def let_in(self) -> float:
        """Let jobs through that wait for a limit, where a dead worker has left that undone; return the seconds to wait.

        Every worker does it, without a lock: it is one look where no limit is in use.
        """
        through = self._broker.let_in(limit=LET_IN_KEYS)
        if through:
            logger.debug("%d jobs that waited for a limit were let in.", through)
        return LET_IN_SECONDS * self._random.uniform(0.8, 1.2)

    def _prune(self) -> tuple[int, bool]:
        policy = self._policy
        total, more = 0, False
        for statuses, seconds in (
            ((State.SUCCEEDED, State.CANCELLED, State.EXPIRED), policy.result_ttl_seconds),
            ((State.FAILED, State.QUARANTINED), policy.failed_result_ttl_seconds),
        ):
            for _ in range(MAX_BATCHES):
                dropped = self._results.prune(statuses=statuses, older_than_seconds=seconds, limit=BATCH)
                total += dropped
                if dropped < BATCH:
                    break
            else:
                more = True
        return total, more

    def _sweep(self) -> int:
        total = 0
        for _ in range(MAX_BATCHES):
            dropped = self._broker.sweep(limit=BATCH)
            total += dropped
            if dropped < BATCH:
                break
        return total
