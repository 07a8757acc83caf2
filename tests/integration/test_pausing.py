"""Pauses kept by workers that are processes of their own: nothing new starts, nothing is lost, and nobody spins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_jobs import AsyncResult, pause_queue, pause_task, resume_queue, resume_task
from django_jobs.connections import connections
from django_jobs.core.states import State
from tests.backends.redis.server import Server
from tests.integration.harness import Site, until
from tests.integration.site import jobs

JOBS = 1500
JOB_SECONDS = 0.01
MORE_JOBS = 50
PAUSED_JOBS = 10_000
RENEWALS = 6
CALLS_PER_RENEWAL = 60
"""Of one idle worker with two children, at two renewals a second; it takes about six. One that spins takes hundreds."""


def enqueue(count: int, first: int = 0) -> dict[str, str]:
    """Enqueue jobs; return the id of each by its key."""
    keys = [str(number) for number in range(first, first + count)]
    results = jobs.spend.delay_many([((key, JOB_SECONDS), {}) for key in keys])
    return dict(zip(keys, [result.id for result in results], strict=True))


def ran(site: Site) -> Counter[str]:
    return Counter(entry.key for entry in site.ledger("start"))


def running() -> int:
    return sum(stats.running for stats in connections.broker.stats())


def still_waiting(ids: dict[str, str]) -> set[str]:
    views = connections.broker.state_of(list(ids.values()))
    return {job_id for job_id, view in views.items() if view.state is State.QUEUED}


def look_elsewhere(site: Site, times: int = 4) -> None:
    """Have the workers claim from another queue, so that they have looked at what there is."""
    for number in range(times):
        result: AsyncResult[Any] = jobs.note.apply_async((f"elsewhere-{number}",), queue="elsewhere")
        assert result.get(timeout=40) == f"elsewhere-{number}"


def check_pause(site: Site, pause: Callable[[], bool], resume: Callable[[], bool]) -> None:
    for _ in range(2):
        site.worker("-c", "2")
    for worker in site.workers:
        worker.ready()
    ids = enqueue(JOBS)
    until(lambda: len(site.ledger("end")) >= 50, 60, what=lambda: f"the start; {site.said()}")
    assert pause()
    look_elsewhere(site)  # a claim that had begun before may still bring something
    until(lambda: running() == 0, 40, what="the end of what was claimed")
    waiting = still_waiting(ids)
    assert len(waiting) > JOBS // 4, "it was paused while there was much to do"
    ids |= enqueue(MORE_JOBS, first=JOBS)
    look_elsewhere(site)
    until(lambda: running() == 0, 40, what="the end of what was claimed")
    assert still_waiting(ids) >= waiting
    done = ran(site)
    assert not waiting & {ids[key] for key in done}, "what waited when the pause had answered has not started"
    assert set(done.values()) == {1}

    assert resume()

    until(lambda: len(ran(site)) == len(ids), 100, what=lambda: f"the end of all {len(ids)}; {site.said()}")
    assert set(ran(site).values()) == {1}
    until(lambda: connections.broker.stats() == [], 40, what="the end of all that is settled")


@pytest.mark.timeout(400)
def test_no_worker_starts_a_job_of_a_paused_queue(site: Site) -> None:
    check_pause(site, lambda: pause_queue("default"), lambda: resume_queue("default"))


@pytest.mark.timeout(400)
def test_no_worker_starts_a_job_of_a_paused_task(site: Site) -> None:
    check_pause(site, lambda: pause_task(jobs.spend), lambda: resume_task(jobs.spend))


def test_a_burst_ends_when_all_that_is_left_is_paused(site: Site) -> None:
    enqueue(20)
    jobs.note.apply_async(("paused",), queue="paused")
    pause_task(jobs.spend)
    pause_queue("paused")
    worker = site.worker("-c", "2", "--burst")
    assert worker.ended(60) == 0, worker.log
    assert site.ledger() == []
    assert sum(stats.queued for stats in connections.broker.stats()) == 21
    resume_task(jobs.spend)
    worker = site.worker("-c", "2", "--burst")
    assert worker.ended(60) == 0, worker.log
    assert len(ran(site)) == 20
    assert site.ledger("ran") == [], "the pause of the queue has outlived the worker"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a Redis of its own, which counts the calls of nobody else."""
    made = Server(tmp_path / "redis").start()
    yield made
    made.stop()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["queue", "task"])
def test_ten_thousand_paused_jobs_leave_an_idle_worker_idle(
    site: Site, settings: Any, server: Server, kind: str
) -> None:
    stores = {"BROKER": server.url, "RESULT_STORE": server.url, "NAMESPACE": "idle"}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **stores}
    try:
        enqueue(PAUSED_JOBS)
        assert pause_queue("default") if kind == "queue" else pause_task(jobs.spend)
        site.worker("-c", "2", settings={**stores, "NAMESPACE": "test_idle"}).ready()
        look_elsewhere(site)
        until(lambda: connections.broker.ready_queues() == [], 60, what="putting all of them aside")
        look_elsewhere(site)

        def renewals() -> int:
            (session,) = connections.broker.sessions()
            return session.renewals

        start, calls = renewals(), scripts_run(server)
        mine = 0
        while renewals() < start + RENEWALS:
            mine += 1  # of this loop
        taken = scripts_run(server) - calls - mine - 1
        assert taken <= RENEWALS * CALLS_PER_RENEWAL
        assert ran(site) == Counter()
    finally:
        connections.broker.close()


def scripts_run(server: Server) -> int:
    """Return how many scripts the server has run."""
    with server.client() as client:
        stats = client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))
