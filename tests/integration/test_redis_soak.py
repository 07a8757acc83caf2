"""Redis under faults: replies that are lost, workers that are killed, a server that is restarted; each job counted.

The long form takes a minute: TEST_REDIS_SOAK_SECONDS=60 pytest tests/integration/test_redis_soak.py
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from django_jobs import State
from django_jobs.connections import connections
from django_jobs.exceptions import BrokerUnavailable
from tests.backends.redis.server import Server
from tests.integration.harness import Site, Worker, until
from tests.integration.redis_proxy import ProxyProcess
from tests.integration.site import jobs
from tests.integration.site.ledger import Entry

IDS: Final = 5_000
SOAK_SECONDS: Final = float(os.environ.get("TEST_REDIS_SOAK_SECONDS", "12"))
RESTARTS: Final = 10
KILL_SECONDS: Final = 5.0
RESUME_SECONDS: Final = 6.0
FLIGHT_SECONDS: Final = 2.0
"""Between the end of a run and the moment that its settle is in Redis, at the very most: what a restart can undo."""
ENQUEUE_TRIES_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.002
"""Between two enqueues of the load: about 400 in a second."""

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, appendonly="yes", appendfsync="everysec")
    yield server.start()
    server.stop()


def enqueue(number: int) -> str:
    """Enqueue a job of this number's own id, blindly again for as long as the broker is away."""
    task_id = f"soak-{number}"
    deadline = time.monotonic() + ENQUEUE_TRIES_SECONDS
    while True:
        try:
            if number % 20 == 7:
                jobs.spend.apply_async((task_id, 0.03), task_id=task_id)
            else:
                jobs.note.apply_async((task_id,), task_id=task_id)
            return task_id
        except BrokerUnavailable:
            assert time.monotonic() < deadline, f"the broker has been away for {ENQUEUE_TRIES_SECONDS:g} s"


def runs(site: Site) -> dict[str, list[Entry]]:
    """Return the starts of each job, in order."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in site.ledger():
        if entry.event in {"ran", "start"}:
            found[entry.key].append(entry)
    return found


@pytest.mark.parametrize("workers_through_proxy", [False, True], ids=["workers-direct", "workers-through-proxy"])
def test_lost_replies_neither_lose_nor_double_a_job(
    site: Site, redis_server: Server, settings: Any, tmp_path: Path, workers_through_proxy: bool
) -> None:
    with ProxyProcess(redis_server.port, tmp_path / "lost") as proxy:
        settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "BROKER": proxy.url, "RESULT_STORE": redis_server.url}
        url = proxy.url if workers_through_proxy else redis_server.url
        for _ in range(2):
            site.worker("-c", "1", settings={"BROKER": url, "RESULT_STORE": redis_server.url})
        sent = {enqueue(number) for number in range(IDS)}
        until(lambda: len(runs(site)) >= IDS, 60, what=site.said)
        connections.broker.close()
        settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "BROKER": redis_server.url}
        until(lambda: connections.broker.stats() == [], what="the settling of the last jobs")
        connections.broker.close()
        lost = Counter(proxy.lost())
    assert lost["EVALSHA"] > IDS / 50, f"the proxy has lost too few replies to show anything: {lost}"
    found = runs(site)
    assert set(found) == sent
    assert [key for key, entries in found.items() if len(entries) != 1] == []


@dataclass
class Faults:
    """What was done to the site, in monotonic seconds."""

    kills: list[tuple[float, frozenset[int]]] = field(default_factory=list)
    """When, and the processes of the worker."""
    restarts: list[tuple[float, float]] = field(default_factory=list)
    """From the signal until the server answered again."""

    def explain(self, first: Entry, second: Entry) -> bool:
        """Whether something has happened that undid the first run before the second one began."""
        killed = any(first.at <= at <= second.at and first.pid in pids for at, pids in self.kills)
        undone = any(down - FLIGHT_SECONDS <= first.at <= up and down <= second.at for down, up in self.restarts)
        return killed or undone


class Soak:
    """Does the faults while jobs are enqueued."""

    def __init__(self, site: Site, server: Server, settings: dict[str, Any]) -> None:
        self.site = site
        self.server = server
        self.settings = settings
        self.faults = Faults()
        self.over = threading.Event()
        self.workers = [self.new_worker() for _ in range(2)]

    def new_worker(self) -> Worker:
        return self.site.worker("-c", "1", settings=self.settings)

    def restart_the_server(self) -> None:
        for number in range(RESTARTS):
            self.over.wait(SOAK_SECONDS / RESTARTS)
            down = time.monotonic()
            if number % 2:
                self.server.crash()
            else:
                self.server.stop(signal.SIGTERM)
            self.server.start()
            self.faults.restarts.append((down, time.monotonic()))

    def kill_workers(self) -> None:
        while not self.over.wait(KILL_SECONDS):
            victim = self.workers.pop(0)
            pids = frozenset(process.pid for process in victim.processes())
            victim.signal_group(signal.SIGKILL)
            victim.process.wait()
            self.faults.kills.append((time.monotonic(), pids))
            self.workers.append(self.new_worker())

    def run(self) -> set[str]:
        """Enqueue until the last restart; return the ids that were enqueued."""
        sent: set[str] = set()
        with ThreadPoolExecutor(2) as threads:
            restarts, kills = threads.submit(self.restart_the_server), threads.submit(self.kill_workers)
            try:
                while not restarts.done():
                    sent.add(enqueue(len(sent)))
                    self.over.wait(PAUSE_SECONDS)
                until(lambda: self.resumed(self.faults.restarts[-1][1]), RESUME_SECONDS, what=self.site.said)
            finally:
                self.over.set()
            restarts.result()
            kills.result()
        return sent

    def resumed(self, up: float) -> list[float]:
        """Return when jobs have started since then."""
        return [entry.at for entries in runs(self.site).values() for entry in entries if entry.at > up]


@pytest.mark.timeout(120 + 4 * SOAK_SECONDS)
def test_kills_and_restarts_lose_nothing_and_explain_every_second_run(
    site: Site, redis_server: Server, settings: Any
) -> None:
    stores = {"BROKER": redis_server.url, "RESULT_STORE": redis_server.url}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **stores}
    soak = Soak(site, redis_server, stores)
    for worker in soak.workers:
        worker.ready()
    sent = soak.run()
    until(lambda: set(runs(site)) >= sent, 60, what=site.said)
    until(lambda: connections.broker.stats() == [], 60, what=site.said)
    found = runs(site)
    ended = connections.results.load_many(sorted(sent))
    connections.broker.close()
    assert len(soak.faults.restarts) == RESTARTS
    assert len(soak.faults.kills) >= int(SOAK_SECONDS / KILL_SECONDS) - 1
    assert set(found) == sent, "a job is lost"
    assert {key for key, kept in ended.items() if kept.status is State.SUCCEEDED} == sent, "a result is lost"
    pairs = [pair for entries in found.values() for pair in pairwise(entries)]
    assert [pair for pair in pairs if not soak.faults.explain(*pair)] == [], soak.faults
    waits = [min(soak.resumed(up)) - up for _, up in soak.faults.restarts]
    assert max(waits) < RESUME_SECONDS
    counted = f"{len(sent)} jobs, {len(soak.faults.kills)} kills, {len(pairs)} second runs"
    sys.stdout.write(f"{counted}, resumed within {max(waits):.1f} s\n")
