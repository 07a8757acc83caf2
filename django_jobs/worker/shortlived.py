"""Prunes the successes of tasks that have a `result_ttl`, before RESULT_TTL_SECONDS would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django_jobs.core.spec import TaskSpec
from django_jobs.ports.result_store import ResultStore

BATCH: Final = 1000
MAX_BATCHES: Final = 5
"""Per round and `result_ttl`: a round stays short."""


class ShortLived:
    """Walks through what has become old, once, and forgets what belongs to such tasks; nothing without any.

    A round begins where the one before the last has ended, so that what was stored a little late is seen too.
    """

    def __init__(self, results: ResultStore, tasks: Mapping[float, frozenset[str]]) -> None:
        self._results = results
        self._tasks = tasks
        self._before: dict[float, str] = {}
        self._last: dict[float, str] = {}

    def step(self) -> tuple[int, bool]:
        """Do one round; return how many were pruned, and whether there is more.

        Raises:
            BrokerUnavailable: the store cannot be reached.
        """
        rounds = [self._walk(seconds, tasks) for seconds, tasks in self._tasks.items()]
        return sum(pruned for pruned, _ in rounds), any(more for _, more in rounds)

    def _walk(self, seconds: float, tasks: frozenset[str]) -> tuple[int, bool]:
        pruned, place, more = 0, self._before.get(seconds, ""), True
        for _ in range(MAX_BATCHES):
            page = self._results.old_successes(older_than_seconds=seconds, after=place, limit=BATCH)
            ids = [job_id for job_id, task in page.rows if task in tasks]
            pruned += self._results.forget(ids) if ids else 0
            place, more = page.place, page.more
            if not more:
                break
        self._before[seconds], self._last[seconds] = place if more else self._last.get(seconds, place), place
        return pruned, more


def by_ttl(specs: Iterable[TaskSpec], *, defaults: Mapping[str, Any], longest: float) -> dict[float, frozenset[str]]:
    """Return `result_ttl` in seconds -> the tasks that have it; those that come to `longest` are left out."""
    found: dict[float, set[str]] = {}
    for spec in specs:
        seconds = spec.options_over(defaults).result_ttl
        if seconds is not None and seconds < longest:
            found.setdefault(seconds, set()).add(spec.name)
    return {seconds: frozenset(names) for seconds, names in found.items()}
