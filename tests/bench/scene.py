"""One run's scene: an empty store, one side prepared in it, and what a measure does there."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from tests.bench.errors import BenchError
from tests.bench.meter import Meter
from tests.bench.processes import ROOT, Group, cpu_by_thread
from tests.bench.sides import Command, Side
from tests.bench.stores.base import Place, Server, Store
from tests.bench.ticks import Ticks, new_ticks

PREPARE_SECONDS: Final = 120.0
DELAYS_SECONDS: Final = 20.0


class Helper:
    """The process that enqueues, ready to begin; see `enqueuing`. `with` ends it."""

    def __init__(self, command: Command, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._seen = psutil.Process(self._process.pid)
        self._said("ready")

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for its end; return what it came to."""
        found: dict[str, Any] = json.loads(self._said("{"))
        return found

    def stop(self) -> dict[str, Any]:
        """End a feed; return what it came to."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.answer()

    def cpu_seconds(self) -> float:
        return sum(cpu_by_thread([self._seen]).values())

    def _said(self, beginning: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(beginning):
            raise BenchError(f"The process that enqueues has failed (it said {line!r}); its error stands above.")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


class Scene:
    """A prepared side in an empty store."""

    def __init__(self, store: Store, side: Side, place: Place, ticks: Ticks, directory: Path, children: int) -> None:
        self._store = store
        self._side = side
        self._place = place
        self._directory = directory
        self._children = children
        self._environment = {
            **place.environment,
            **ticks.environment,
            "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
        }
        self.ticks = ticks

    def delays_ms(self, group: Group, expected: int) -> list[float]:
        """Wait until so many delays are noted; return them, shortest first."""
        deadline = time.monotonic() + DELAYS_SECONDS
        while len(delays := self.ticks.delays_ms()) < expected:
            group.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{len(delays)} of {expected} jobs have started within {DELAYS_SECONDS:g} s.")
            time.sleep(0.01)
        return delays

    def prepare(self) -> None:
        done = subprocess.run(
            self._side.prepare(self._store, self._place),
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PREPARE_SECONDS,
        )
        if done.returncode:
            raise BenchError(f"{self._side.name} could not be prepared on {self._store.title}:\n{done.stdout}")

    def helper(self, verb: str, *numbers: float) -> Helper:
        """Return a process that is ready to do a verb of `enqueuing`."""
        command = [*self._side.enqueue(self._store, self._place), verb, *map(str, numbers)]
        return Helper(command, self._environment)

    def do(self, verb: str, *numbers: float) -> dict[str, Any]:
        """Do a verb of `enqueuing` from its beginning to its end."""
        with self.helper(verb, *numbers) as helper:
            helper.begin()
            return helper.answer()

    def fill(self, jobs: int) -> None:
        """Let so many jobs wait, with all of them written out."""
        self.do("fill", jobs)
        self.calm()

    def fill_dropped(self, jobs: int) -> None:
        """Let so many jobs wait that keep no result, with all of them written out."""
        self.do("drop", jobs)
        self.calm()

    def calm(self) -> None:
        """Write out what is in memory, and leave the store as a worker would."""
        self._store.calm(self._place)

    def expect_stored(self, jobs: int, *, results: int | None = None) -> None:
        """Raise BenchError where jobs were run twice, or there are not so many results (None: one for each job)."""
        wanted = jobs if results is None else results
        found = self.do("stored", wanted)["stored"]
        if (self.ticks.count(), found) != (jobs, wanted):
            raise BenchError(
                f"{self._side.name} on {self._store.title} has run {self.ticks.count():,} jobs and stored {found:,} "
                f"results, of {jobs:,} that were enqueued, which keep {wanted:,}."
            )

    def working(self) -> Group:
        """Return the processes that run jobs, to be started by `with`."""
        commands = self._side.work(self._store, self._place, self._children)
        return Group(commands, environment=self._environment, log=self._directory / "worker.log")

    def nobody(self) -> Group:
        """Return a group without processes, for what needs no worker."""
        return Group((), environment={}, log=self._directory / "worker.log")

    @contextmanager
    def server(self) -> Iterator[Server]:
        server = self._store.new_server(self._place)
        try:
            yield server
        finally:
            server.close()

    @contextmanager
    def pinned(self) -> Iterator[None]:
        with self._store.pinned(self._place):
            yield

    def warm_up(self, meter: Meter, jobs: int) -> None:
        """Run so many jobs and wait until their results are stored: from then on the worker is idle."""
        self.do("fill", jobs)
        meter.wait_for(jobs, 60.0)
        self.expect_stored(jobs)


@contextmanager
def new_scene(store: Store, side: Side, children: int) -> Iterator[Scene]:
    """Make an empty store of its own and prepare the side in it; all of it is gone at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        store.new_place(Path(directory)) as place,
        new_ticks() as ticks,
    ):
        scene = Scene(store, side, place, ticks, Path(directory), children)
        scene.prepare()
        scene.calm()
        yield scene
