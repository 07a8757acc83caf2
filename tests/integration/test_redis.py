"""Real workers over a Redis of the test's own: a server that restarts, and results that leave for the database.

Everything else runs over Redis as it does over the databases: it is one of the kinds of each test's site.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_jobs import State
from django_jobs.connections import connections
from tests.backends.redis.server import Server
from tests.integration.harness import TIMEOUT_SECONDS, Site, Worker, until
from tests.integration.site import jobs

RESUME_SECONDS = 6.0

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, appendonly="yes", appendfsync="always")
    yield server.start()
    server.stop()


@pytest.fixture
def results_in(request: pytest.FixtureRequest) -> str:
    """Say where results are kept: in the database, by way of the out-list, unless a test says otherwise."""
    return str(getattr(request, "param", "database"))


@pytest.fixture
def worker(site: Site, redis_server: Server, results_in: str, settings: Any) -> Iterator[Worker]:
    results = redis_server.url if results_in == "redis" else "database"
    site.stores = {"BROKER": redis_server.url, "RESULT_STORE": results}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **site.stores}
    yield site.worker("-c", "2").ready()
    connections.broker.close()


def test_results_leave_for_the_database(site: Site, worker: Worker) -> None:
    results = jobs.note.delay_many([((f"{number}",), {}) for number in range(200)])
    assert [result.get(timeout=20) for result in results] == [str(number) for number in range(200)]
    until(lambda: not connections.broker.leaving(10))
    assert connections.broker.stats() == []


def test_the_result_of_a_second_run_is_the_one_that_is_kept(site: Site, worker: Worker) -> None:
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    entry = site.started("h")
    until(lambda: site.view(result) is not None)
    process = next(p for p in worker.processes() if p.pid == entry.pid)
    process.kill()
    site.started("h", 2, seconds=TIMEOUT_SECONDS * 4)
    gate.touch()
    stored = site.stored(result)
    assert (stored.status, stored.attempt) == (State.SUCCEEDED, 2)


@pytest.mark.parametrize("results_in", ["redis", "database"], indirect=True)
def test_a_restarted_server_loses_nothing_and_work_goes_on(site: Site, worker: Worker, redis_server: Server) -> None:
    results = jobs.note.delay_many([((f"{number}",), {}) for number in range(500)])
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        redis_server.stop(number)
        redis_server.start()
    up_at = time.monotonic()
    probe = jobs.note.delay("after")
    assert probe.get(timeout=20) == "after"
    assert time.monotonic() - up_at < RESUME_SECONDS
    assert [result.get(timeout=30) for result in results] == [str(number) for number in range(500)]
