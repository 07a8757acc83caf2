"""What the bench must know of a store: places in it for one run each, its server's CPU time, its version."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import psutil

from tests.bench.processes import CpuByThread, cpu_by_thread, listening_process
from tests.services import SERVICES, temporary_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An empty store of one run."""

    url: str
    """For the raw loop."""
    environment: Mapping[str, str]
    """For the project: DATABASE_URL, and BENCH_JOBS (DJANGO_JOBS as JSON) where something has to be configured."""


class Server:
    """The CPU time of what serves one place; this one is for stores without a server."""

    def refresh(self) -> None:
        """Look for what serves the place now; slow, so not inside what is measured."""

    def cpu(self) -> CpuByThread | None:
        """Return the CPU time of what was found; None where it cannot be seen."""
        return {}

    def steps(self) -> float:
        """Return how many transactions (or commands) have been served to the place; not a number if unknown."""
        return math.nan

    def close(self) -> None:
        """Give back what the looking needs."""


class Store(ABC):
    """A kind of store. To add one: this class, an entry in STORES, and a floor in `tests.bench.floors`."""

    kind: ClassVar[str]
    title: ClassVar[str]
    sides: Sequence[str] = ("django_jobs", "raw loop")
    """Who is measured on it; see `tests.bench.sides`."""
    unmeasured: ClassVar[Sequence[str]] = ()
    """Measures that have no answer here."""

    def missing(self) -> str:
        """Return why it cannot be measured here, or an empty text."""
        return SERVICES[self.kind].missing()

    @contextmanager
    def new_place(self, directory: Path) -> Iterator[Place]:
        """Make an empty database of its own name, and drop it at the end."""
        with temporary_database(self.kind, directory) as database:
            yield Place(url=database.url, environment={"DATABASE_URL": database.url})

    @abstractmethod
    def describe(self, place: Place) -> str:
        """Return name, version and the settings that figures depend on."""

    @abstractmethod
    def calm(self, place: Place) -> None:
        """Write out what filling has left in memory, so that it is not written while jobs run."""

    def new_server(self, place: Place) -> Server:
        return Server()

    @abstractmethod
    def pinned(self, place: Place) -> AbstractContextManager[None]:
        """Hold a snapshot of the whole store open."""


class VisibleServer(Server):
    """A server on this machine, found by the port of its URL, but for what of it serves others."""

    def __init__(self, url: str) -> None:
        self._process = listening_process(urlsplit(url).port or 0)
        self._found: list[psutil.Process] = []
        self._strangers: set[int] = set()

    def refresh(self) -> None:
        if self._process is not None:
            self._found = [self._process, *self._process.children()]
            self._strangers |= self.elsewhere()  # a thread that served others stays strange when they leave it

    def cpu(self) -> CpuByThread | None:
        if self._process is None:
            return None
        used = cpu_by_thread(self._found)
        return {thread: seconds for thread, seconds in used.items() if thread not in self._strangers}

    def elsewhere(self) -> set[int]:
        """Return the ids of its processes and threads that serve somebody else."""
        return set()
