"""Three beats over Redis, while beats and the server are killed: each tick makes exactly one job.

    BEAT_SOAK_SECONDS=60 pytest tests/integration/test_beat_redis.py -s

is the long form. The schedules are rows in SQLite, the jobs in a Redis that has each answer on its disk first, so that
a crash between the two must be made good by the high-water mark that it keeps of each schedule.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from django_jobs.connections import connections
from django_jobs.core.schedule import ON_TIME_SECONDS, tick_id
from tests.backends.redis.server import Server
from tests.integration.harness import Site, Worker, until
from tests.integration.test_beat import SOAK_SECONDS, add, jobs, rows

BEATS: Final = 3
SCHEDULES: Final = 10
KILL_SECONDS: Final = 2.0
RESTART_SECONDS: Final = 2.7
"""Not in step with the kills, so that they meet in each order."""
STOP_SECONDS: Final = 20.0

pytestmark = [
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
    pytest.mark.timeout(SOAK_SECONDS * 2 + 240),
]


@pytest.fixture
def server(tmp_path: Path, site: Site, settings: Any) -> Iterator[Server]:
    """Give a Redis that loses nothing that it has answered, as the broker and result store of the site."""
    server = Server(tmp_path, appendonly="yes", appendfsync="always").start()
    site.stores = {"BROKER": server.url, "RESULT_STORE": server.url}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **site.stores}
    yield server
    connections.broker.close()
    server.stop()


class Faults:
    """Kills a beat, or the server, again and again."""

    def __init__(self, site: Site, server: Server, beats: list[Worker]) -> None:
        self.site = site
        self.server = server
        self.beats = beats
        self.over = threading.Event()
        self.kills = 0
        self.restarts = 0

    def kill_beats(self) -> None:
        while not self.over.wait(KILL_SECONDS):
            victim = self.beats.pop(0)
            victim.signal_group(signal.SIGKILL)
            victim.process.wait()
            self.beats.append(self.site.beat())
            self.kills += 1

    def kill_the_server(self) -> None:
        while not self.over.wait(RESTART_SECONDS):
            self.server.stop(signal.SIGKILL)
            self.server.start()
            self.restarts += 1

    def run(self, seconds: float) -> None:
        """Do so for a time, or until one of the two has failed."""
        with ThreadPoolExecutor(2) as threads:
            running = [threads.submit(self.kill_beats), threads.submit(self.kill_the_server)]
            wait(running, seconds, FIRST_COMPLETED)
            self.over.set()
            for fault in running:
                fault.result()


def test_each_tick_makes_one_job_while_beats_and_the_server_are_killed(site: Site, server: Server) -> None:
    names = [f"s{number}" for number in range(SCHEDULES)]
    for name in names:
        add(site, name)
    beats = [site.beat().ready() for _ in range(BEATS)]
    until(lambda: not rows(site).filter(last_run_us=None).exists(), what=site.said)
    faults = Faults(site, server, beats)

    faults.run(SOAK_SECONDS)

    reached = {row.name: row.last_run_us for row in rows(site)}
    until(lambda: all((row.last_run_us or 0) > (reached[row.name] or 0) for row in rows(site)), 60, what=site.said)
    for beat in faults.beats:
        beat.ready().stop()  # before that it takes no signal
        assert beat.ended(STOP_SECONDS) == 0, site.said()

    enqueued = {view.id: view.enqueued_us / 1e6 for view in jobs()}
    ticks = 0
    for name in names:
        last_us = rows(site).get(name=name).last_run_us
        assert last_us is not None
        last = last_us // 1_000_000
        made = [at for at in range(last - round(SOAK_SECONDS) - 600, last + 2) if tick_of(name, at) in enqueued]
        ticks += len(made)
        # What is late by more than 10 s fires once, at its last tick: only then may ticks be missing.
        lost = [
            (one, other)
            for one, other in pairwise(made)
            if other - one > 1 and enqueued[tick_of(name, other)] - (one + 1) <= ON_TIME_SECONDS
        ]
        assert lost == [], f"{name} lacks ticks: {lost}; {site.said()}"
        assert made[-1] >= last
    assert ticks == len(enqueued), "a job that belongs to no tick"
    told = f"{ticks} ticks of {SCHEDULES} schedules, {faults.kills} kills of beats, {faults.restarts} of the server"
    print(f"redis: {told}: one job each")  # noqa: T201
    assert faults.kills >= SOAK_SECONDS / KILL_SECONDS / 3
    assert faults.restarts >= SOAK_SECONDS / RESTART_SECONDS / 3


def tick_of(name: str, seconds: int) -> str:
    return tick_id(name, seconds * 1_000_000)
