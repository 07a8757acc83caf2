"""Results in memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from operator import itemgetter

from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.outcome import StoredResult
from django_jobs.core.policy import Policy
from django_jobs.core.states import State
from django_jobs.ports.result_store import OldResults, ResultStore


class MemoryResultStore(ResultStore):
    """Keeps ended jobs in this process; give it the broker's `store`, so that both see the same ends."""

    def __init__(self, policy: Policy | None = None, *, store: MemoryStore | None = None) -> None:
        self.store = store or (MemoryStore.named(policy.namespace) if policy else MemoryStore())

    def save_many(self, results: Sequence[StoredResult]) -> None:
        with self.store.lock:
            for result in results:
                self.store.keep(result)
            self.store.ended.notify_all()

    def load_many(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        with self.store.lock:
            return {job_id: self.store.results[job_id] for job_id in job_ids if job_id in self.store.results}

    def wait(self, job_ids: Collection[str], timeout_seconds: float) -> None:
        store = self.store
        deadline = time.monotonic() + timeout_seconds
        with store.lock:
            live = [job_id for job_id in job_ids if job_id in store.jobs]
            while not self._has_ended(job_ids, live):
                left_seconds = deadline - time.monotonic()
                if left_seconds <= 0 or not store.ended.wait(left_seconds):
                    return

    def _has_ended(self, job_ids: Collection[str], live: Collection[str]) -> bool:
        store = self.store
        return any(job_id in store.results for job_id in job_ids) or any(job_id not in store.jobs for job_id in live)

    def forget(self, job_ids: Collection[str]) -> int:
        with self.store.lock:
            return sum(self.store.results.pop(job_id, None) is not None for job_id in job_ids)

    def prune(self, *, statuses: Collection[State], older_than_seconds: float, limit: int = 1000) -> int:
        with self.store.lock:
            before_us = self.store.now_us() - round(older_than_seconds * 1_000_000)
            old = [
                result.id
                for result in self.store.results.values()
                if result.status in statuses and (result.finished_us or 0) <= before_us
            ][:limit]
            for job_id in old:
                del self.store.results[job_id]
            return len(old)

    def old_successes(self, *, older_than_seconds: float, after: str = "", limit: int = 1000) -> OldResults:
        with self.store.lock:
            before_us = self.store.now_us() - round(older_than_seconds * 1_000_000)
            kept = [result for result in self.store.results.values() if result.status is State.SUCCEEDED]
            placed = sorted(
                ((f"{result.finished_us or 0:020}:{result.id}", result) for result in kept), key=itemgetter(0)
            )
        found = [
            (place, result) for place, result in placed if place > after and (result.finished_us or 0) <= before_us
        ]
        page = found[:limit]
        return OldResults(
            rows=tuple((result.id, result.task) for _, result in page),
            place=page[-1][0] if page else after,
            more=len(found) > limit,
        )
