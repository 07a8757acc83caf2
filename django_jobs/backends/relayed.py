"""Results on their way: what the broker has settled and the result store, another one, has not taken in yet."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from django_jobs.core.outcome import StoredResult
from django_jobs.core.states import RETRIABLE, State
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import OldResults, ResultStore

logger = logging.getLogger("django_jobs.results")

REFUSED_CHARS: Final = 2000


class RelayedResultStore(ResultStore):
    """Reads both, so that an ended job is never unknown; `copy` brings what is on the out-list into `store`."""

    def __init__(self, store: ResultStore, broker: Broker) -> None:
        self.store = store
        self.broker = broker

    def copy(self, limit: int) -> int:
        """Copy at most `limit` results and strike them; return how many. Repeating it changes nothing.

        Raises:
            BrokerUnavailable: one of the stores cannot be reached.
        """
        results = self.broker.leaving(limit)
        if results:
            self._save(results)
            self.broker.strike(results)
        return len(results)

    def _save(self, results: Sequence[StoredResult]) -> None:
        try:
            self.store.save_many(results)
        except BrokerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  whatever the store's driver raises for a value that it will never take
            if len(results) == 1:
                self._save_refused(results[0], error)
                return
            logger.warning("A batch of %d results was refused and is copied one by one: %s", len(results), error)
            for result in results:
                self._save([result])

    def _save_refused(self, result: StoredResult, error: Exception) -> None:
        logger.error("The result of %s %s was refused by the store; it is recorded as failed.", result.task, result.id)
        text = f"The job {result.status.value}, but its result could not be stored: {error}"[:REFUSED_CHARS]
        bare = msgspec.structs.replace(
            result, status=State.FAILED, result="", traceback="", attempts="", error_message=text,
            error_class=f"{type(error).__module__}.{type(error).__qualname__}",
        )  # fmt: skip
        try:
            self.store.save_many([bare])
        except BrokerUnavailable:
            raise
        except Exception as again:  # not even the bare failure: then it is the store, not the result
            raise BrokerUnavailable(f"The result store refuses every result: {again}.") from again

    # -- the port ----------------------------------------------------------------------------------------------

    def save_many(self, results: Sequence[StoredResult]) -> None:
        self.store.save_many(results)

    def load_many(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        # In this order: what leaves the out-list is in the store before.
        leaving = self.broker.leaving_of(job_ids)
        found = self.store.load_many(job_ids)
        # An ended job that was started again keeps its row until its next end: it counts no more.
        again = [job_id for job_id, stored in found.items() if stored.status in RETRIABLE and job_id not in leaving]
        live = self.broker.state_of(again) if again else {}
        found = {job_id: stored for job_id, stored in found.items() if job_id not in live}
        for job_id, stored in leaving.items():
            if job_id not in found or found[job_id].attempt < stored.attempt:
                found[job_id] = stored
        return found

    def wait(self, job_ids: Collection[str], timeout_seconds: float) -> None:
        if not self.broker.wait_for_end(job_ids, timeout_seconds):
            self.store.wait(job_ids, timeout_seconds)

    def forget(self, job_ids: Collection[str]) -> int:
        leaving = self.broker.leaving_of(job_ids)
        self.broker.strike(list(leaving.values()))
        stored = set(self.store.load_many(job_ids))
        self.store.forget(job_ids)
        return len(stored | set(leaving))

    def prune(self, *, statuses: Collection[State], older_than_seconds: float, limit: int = 1000) -> int:
        return self.store.prune(statuses=statuses, older_than_seconds=older_than_seconds, limit=limit)

    def old_successes(self, *, older_than_seconds: float, after: str = "", limit: int = 1000) -> OldResults:
        return self.store.old_successes(older_than_seconds=older_than_seconds, after=after, limit=limit)
