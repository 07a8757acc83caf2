"""The result store in Redis: one key per result, which expires by itself, and an index to prune by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from django_jobs.backends.redis.client import Client
from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.ledger import Keeping
from django_jobs.backends.redis.records import (
    HEAD_BYTES,
    LETTERS,
    MARK_GIVEN_US,
    MARK_OWN_US,
    pack_result,
    read_result,
    task_of_result,
)
from django_jobs.backends.redis.scripts import FORGET, OLD, SAVE
from django_jobs.backends.redis.wakeup import wait_for_end
from django_jobs.core.outcome import StoredResult
from django_jobs.core.policy import Policy
from django_jobs.core.states import State
from django_jobs.exceptions import InvalidMessage
from django_jobs.ports.result_store import OldResults, ResultStore

AT_ONCE: Final = 500


class RedisResultStore(ResultStore):
    """Keeps results for RESULT_TTL_SECONDS or FAILED_RESULT_TTL_SECONDS. The broker's settle step writes here too."""

    def __init__(self, policy: Policy) -> None:
        self._family = Family(Client(policy.result_store or policy.broker), policy.namespace)
        self._keeping = Keeping(
            here=True, ttl_seconds=policy.result_ttl_seconds, failed_ttl_seconds=policy.failed_result_ttl_seconds
        )

    def save_many(self, results: Sequence[StoredResult]) -> None:
        arguments: list[Any] = []
        for stored in results:
            finished = "" if stored.finished_us is None else stored.finished_us
            arguments += (stored.id, finished, self._keeping.ttl_ms(stored.status), pack_result(stored))
        if arguments:
            self._family.run(SAVE, arguments)

    def load_many(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        found: dict[str, StoredResult] = {}
        for job_id, value in self._values(list(dict.fromkeys(job_ids))).items():
            try:
                found[job_id] = read_result(job_id, value)
            except InvalidMessage:
                continue  # a foreign value is no result; nobody else can read it either
        return found

    def wait(self, job_ids: Collection[str], timeout_seconds: float) -> None:
        wait_for_end(self._family, job_ids, timeout_seconds)

    def forget(self, job_ids: Collection[str]) -> int:
        ids = list(dict.fromkeys(job_ids))
        return sum(self._drop(["ids", *ids[start : start + AT_ONCE]]) for start in range(0, len(ids), AT_ONCE))

    def prune(self, *, statuses: Collection[State], older_than_seconds: float, limit: int = 1000) -> int:
        letters = [LETTERS[status] for status in statuses]
        return self._drop(["old", round(older_than_seconds * 1_000_000), limit, *letters]) if letters else 0

    def old_successes(self, *, older_than_seconds: float, after: str = "", limit: int = 1000) -> OldResults:
        arguments = [
            round(older_than_seconds * 1_000_000),
            LETTERS[State.SUCCEEDED],
            after or "-inf",
            limit,
            HEAD_BYTES,
        ]
        place, more, *rows = self._family.run(OLD, arguments)
        found = [(_text(job_id), head) for job_id, head in zip(rows[::2], rows[1::2], strict=True)]
        tasks = tuple((job_id, task) for job_id, head in found if (task := _task(head)))
        return OldResults(rows=tasks, place="" if _text(place) == "-inf" else _text(place), more=bool(more))

    def _drop(self, arguments: Sequence[Any]) -> int:
        return int(self._family.run(FORGET, [MARK_OWN_US, MARK_GIVEN_US, *arguments]))

    def _values(self, ids: Sequence[str]) -> dict[str, bytes]:
        values: dict[str, bytes] = {}
        with self._family.client.errors("read results"):
            for start in range(0, len(ids), AT_ONCE):
                chunk = ids[start : start + AT_ONCE]
                stored = self._family.client.redis.mget([f"{self._family.prefix}result:{job_id}" for job_id in chunk])
                values.update((job_id, value) for job_id, value in zip(chunk, stored, strict=True) if value)
        return values


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _task(head: bytes) -> str:
    """Return the task of a stored result; empty for a foreign value, which is no result."""
    try:
        return task_of_result(head)
    except InvalidMessage:
        return ""
