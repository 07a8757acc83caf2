"""Copies ended jobs from the broker's out-list into the result store, where these are two stores."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from django_jobs.exceptions import BrokerUnavailable
from django_jobs.ports.result_store import ResultStore
from django_jobs.worker.backoff import Backoff

EVERY_SECONDS: Final = 0.25
BATCH: Final = 500
MAX_BATCHES: Final = 10
"""In one step, so that the keeper's other duties are on time."""


class OutList:
    """A duty of each keeper. It never raises for a store that is away: sessions are renewed all the same."""

    def __init__(self, results: ResultStore, sign: Callable[[], None], random: Random) -> None:
        self._results = results
        self._sign = sign
        self._backoff = Backoff("The copying of results", random)

    def step(self) -> float:
        """Copy a few batches; return the seconds until there may be more."""
        try:
            for _ in range(MAX_BATCHES):
                copied = self._results.copy(BATCH)
                self._sign()
                self._backoff.worked()
                if copied < BATCH:
                    return EVERY_SECONDS
        except BrokerUnavailable as error:
            return self._backoff.failed(error)
        return 0.0
