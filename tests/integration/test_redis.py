"""Real workers over a Redis of the test's own: results in it or in the database, crashes, a server that restarts."""

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


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, appendonly="yes", appendfsync="always")
    yield server.start()
    server.stop()


@pytest.fixture(params=["redis", "database"])
def stores(request: pytest.FixtureRequest, redis_server: Server) -> dict[str, Any]:
    results = redis_server.url if request.param == "redis" else "database"
    return {"BROKER": redis_server.url, "RESULT_STORE": results}


@pytest.fixture
def worker(site: Site, stores: dict[str, Any], settings: Any) -> Iterator[Worker]:
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **stores}
    yield site.worker("-c", "2", settings=stores).ready()
    connections.broker.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestRedisWorker:
    def test_results_arrive(self, site: Site, worker: Worker) -> None:
        results = jobs.note.delay_many([((f"{number}",), {}) for number in range(200)])
        assert [result.get(timeout=20) for result in results] == [str(number) for number in range(200)]
        until(lambda: not connections.broker.leaving(10))
        assert connections.broker.stats() == []

    def test_a_killed_childs_job_runs_again(self, site: Site, worker: Worker) -> None:
        gate = site.gate()
        result = jobs.hold.delay("h", str(gate))
        entry = site.started("h")
        until(lambda: site.view(result) is not None)
        process = next(p for p in worker.processes() if p.pid == entry.pid)
        process.kill()
        site.started("h", 2, seconds=TIMEOUT_SECONDS)
        gate.touch()
        stored = site.stored(result)
        assert (stored.status, stored.attempt) == (State.SUCCEEDED, 2)

    def test_a_killed_workers_job_is_rescued(self, site: Site, worker: Worker, stores: dict[str, Any]) -> None:
        gate = site.gate()
        result = jobs.hold.delay("h", str(gate))
        site.started("h")
        other = site.worker("-c", "1", settings=stores).ready()
        worker.signal_group(signal.SIGKILL)
        site.started("h", 2, seconds=TIMEOUT_SECONDS * 4)
        gate.touch()
        assert site.stored(result).status is State.SUCCEEDED
        assert other.process.poll() is None

    def test_a_restarted_server_loses_nothing_and_work_goes_on(
        self, site: Site, worker: Worker, redis_server: Server
    ) -> None:
        results = jobs.note.delay_many([((f"{number}",), {}) for number in range(500)])
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            redis_server.stop(number)
            redis_server.start()
        up_at = time.monotonic()
        probe = jobs.note.delay("after")
        assert probe.get(timeout=20) == "after"
        assert time.monotonic() - up_at < RESUME_SECONDS
        assert [result.get(timeout=30) for result in results] == [str(number) for number in range(500)]

    def test_a_stopped_worker_burns_no_attempt(self, site: Site, worker: Worker, stores: dict[str, Any]) -> None:
        result = jobs.spend.delay("s", 60)
        site.started("s")
        worker.stop()
        assert worker.ended() == 0
        view = site.view(result)
        assert view is not None
        assert (view.state, view.failures, view.crashes) == (State.QUEUED, 0, 0)
