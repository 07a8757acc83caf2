"""Readings of a run: how many jobs are done, and the CPU time that the worker, the server and all others have used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.errors import BenchError, VoidRun
from tests.bench.processes import CpuByThread, Group, cpu_used, machine_busy_seconds
from tests.bench.stores.base import Server
from tests.bench.ticks import Ticks

POLL_SECONDS: Final = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look. `helpers` (the runner and what enqueues) and `machine` are CPU seconds."""

    at: float
    jobs: int
    worker: CpuByThread
    server: CpuByThread | None
    helpers: float
    machine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What lies between two readings. Percent are of one CPU."""

    seconds: float
    jobs: int
    rate: float
    worker_us: float
    """CPU microseconds per job, as `server_us` and `both_us`."""
    server_us: float
    both_us: float
    server_seconds: float
    worker_percent: float
    server_percent: float
    foreign_percent: float
    """CPU that neither the worker, the server nor this bench has used."""


def between(first: Reading, last: Reading) -> Window:
    """Return what happened from `first` to `last`; CPU per job is not a number where no job was done."""
    seconds = last.at - first.at
    jobs = last.jobs - first.jobs
    worker = cpu_used(first.worker, last.worker)
    known_server = first.server is not None and last.server is not None
    server = cpu_used(first.server or {}, last.server or {}) if known_server else math.nan
    known = worker + (0.0 if math.isnan(server) else server) + last.helpers - first.helpers
    per_job = 1e6 / jobs if jobs else math.nan
    return Window(
        seconds=seconds,
        jobs=jobs,
        rate=jobs / seconds,
        worker_us=worker * per_job,
        server_us=server * per_job,
        both_us=(worker + server) * per_job,
        server_seconds=server,
        worker_percent=100 * worker / seconds,
        server_percent=100 * server / seconds,
        foreign_percent=100 * (last.machine - first.machine - known) / seconds,
    )


class Meter:
    """Takes readings of one run; `helpers` returns the CPU seconds of processes that belong to the bench."""

    def __init__(
        self, *, ticks: Ticks, group: Group, server: Server, helpers: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._ticks = ticks
        self._group = group
        self._server = server
        self._helpers = helpers

    def find(self) -> None:
        """Look for the processes, which takes some tens of milliseconds."""
        self._group.refresh()
        self._server.refresh()

    def read(self) -> Reading:
        """Take a reading of the processes that were found, within a millisecond or two."""
        return Reading(
            at=time.perf_counter(),
            jobs=self._ticks.count(),
            worker=self._group.cpu(),
            server=self._server.cpu(),
            helpers=time.process_time() + self._helpers(),
            machine=machine_busy_seconds(),
        )

    def find_and_read(self) -> Reading:
        """Take a reading that need not be quick."""
        self.find()
        return self.read()

    def wait_for(self, jobs: int, seconds: float) -> None:
        """Return when so many jobs are done.

        Raises:
            BenchError: the worker has ended, or it took longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while self._ticks.count() < jobs:
            self._group.check()
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self._ticks.count():,} of {jobs:,} jobs were done within {seconds:g} s. "
                    f"The worker said:\n{self._group.said()}"
                )
            time.sleep(POLL_SECONDS)

    def read_at(self, marks: Sequence[int], seconds: float) -> list[Reading]:
        """Return one reading for each number of jobs done, in rising order.

        Raises:
            BenchError: as from `wait_for`.
            VoidRun: two marks were passed between two looks.
        """
        readings: list[Reading] = []
        self.wait_for(1, seconds)
        for mark in marks:
            self.find()  # not between a mark and its reading: the last jobs of a quick loop would be done meanwhile
            self.wait_for(mark, seconds)
            readings.append(self.read())
            if len(readings) > 1 and readings[-1].jobs == readings[-2].jobs:
                raise VoidRun(f"The jobs were done too quickly to be measured from {marks[0]:,} on: ask for more.")
        return readings
