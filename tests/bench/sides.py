"""Who is measured: django_jobs and the raw loop of the store, each as the commands that prepare, work and enqueue."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from tests.bench.stores.base import Place, Store

BATCH: Final = 100
"""Jobs in one step of the raw loop."""
Command = Sequence[str]


class Side(ABC):
    """What the runner starts. Commands run in the project's root, with the place's environment."""

    name: str

    @abstractmethod
    def prepare(self, store: Store, place: Place) -> Command:
        """Return what makes the tables."""

    @abstractmethod
    def work(self, store: Store, place: Place, processes: int) -> Sequence[Command]:
        """Return what runs jobs in so many processes."""

    @abstractmethod
    def enqueue(self, store: Store, place: Place) -> Command:
        """Return what enqueues; a verb of `enqueuing` is added."""


class DjangoJobs(Side):
    """A worker as anybody starts it, over settings that configure nothing."""

    name = "django_jobs"

    def prepare(self, store: Store, place: Place) -> Command:
        return [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]

    def work(self, store: Store, place: Place, processes: int) -> Sequence[Command]:
        return [[sys.executable, "-m", "django", "runworker", "--concurrency", str(processes), "--verbosity", "0"]]

    def enqueue(self, store: Store, place: Place) -> Command:
        return [sys.executable, "-m", "tests.bench.enqueue"]


class RawLoop(Side):
    """The floor."""

    name = "raw loop"

    def prepare(self, store: Store, place: Place) -> Command:
        return [*self._floor(store, place), "prepare"]

    def work(self, store: Store, place: Place, processes: int) -> Sequence[Command]:
        return [[*self._floor(store, place), "work", str(BATCH)]] * processes

    def enqueue(self, store: Store, place: Place) -> Command:
        return [*self._floor(store, place), "enqueue"]

    def _floor(self, store: Store, place: Place) -> Command:
        return [sys.executable, "-m", "tests.bench.floors", store.kind, place.url]


SIDES: Final[dict[str, Side]] = {side.name: side for side in (DjangoJobs(), RawLoop())}
