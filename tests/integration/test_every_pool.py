"""What holds in every pool: jobs run, a kill is survived, a stop burns nothing, limits are kept where they can be."""

from __future__ import annotations

import signal
from importlib.util import find_spec

import psutil
import pytest

from django_jobs import State, Task, workers
from django_jobs.worker.options import PoolKind
from tests.integration.harness import TIMEOUT_SECONDS, Site, Worker, until
from tests.integration.site import jobs, limited

HARD = "django_jobs.exceptions.TimeLimitExceeded"
RESCUED_SECONDS = TIMEOUT_SECONDS * 10
GREENLETS = pytest.param(
    PoolKind.GEVENT, marks=pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
)
WITH_LOOP = [PoolKind.PROCESSES, PoolKind.THREADS, PoolKind.ASYNCIO, PoolKind.SOLO]
WITH_CHILDREN = [PoolKind.PROCESSES, PoolKind.THREADS, PoolKind.ASYNCIO, GREENLETS]
EVERY_POOL = [*WITH_LOOP, GREENLETS]

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def start(site: Site, pool: PoolKind, *arguments: str) -> Worker:
    return site.worker("--pool", pool.value, "-c", "2", *arguments).ready()


@pytest.mark.parametrize("pool", WITH_LOOP)
def test_coroutines_run_beside_functions(site: Site, pool: PoolKind) -> None:
    start(site, pool)

    notes = [jobs.note.delay(f"n{number}") for number in range(20)]
    coroutines = [jobs.coroutine.delay(f"c{number}", 0.01) for number in range(20)]

    assert [result.get(timeout=30) for result in notes] == [f"n{number}" for number in range(20)]
    assert {site.stored(result).status for result in coroutines} == {State.SUCCEEDED}


@pytest.mark.parametrize("pool", EVERY_POOL)
def test_functions_run_fail_and_retry(site: Site, pool: PoolKind) -> None:
    start(site, pool)

    notes = [jobs.note.delay(f"n{number}") for number in range(20)]
    failed, again = jobs.fail.delay("boom"), jobs.asks_again.delay("a")

    assert [result.get(timeout=30) for result in notes] == [f"n{number}" for number in range(20)]
    assert site.stored(failed).status is State.FAILED
    assert again.get(timeout=30) == 1


@pytest.mark.parametrize(
    ("pool", "task"), [*((pool, jobs.hold_async) for pool in WITH_LOOP), *((pool, jobs.hold) for pool in WITH_LOOP)]
)
def test_a_killed_worker_s_job_runs_elsewhere(site: Site, pool: PoolKind, task: Task[..., int]) -> None:
    run_elsewhere_after_a_kill(site, pool, task)


@pytest.mark.parametrize("pool", [GREENLETS])
def test_a_killed_worker_s_greenlets_run_elsewhere(site: Site, pool: PoolKind) -> None:
    run_elsewhere_after_a_kill(site, pool, jobs.hold)


def run_elsewhere_after_a_kill(site: Site, pool: PoolKind, task: Task[..., int]) -> None:
    worker = start(site, pool)
    gate = site.gate()
    result = task.delay("h", str(gate))
    first = site.started("h")

    worker.process.send_signal(signal.SIGKILL)
    worker.ended()
    other = start(site, pool)
    second = site.started("h", 2, seconds=RESCUED_SECONDS)

    assert not psutil.pid_exists(first.pid), "its children die with it"
    assert second.pid != first.pid
    gate.touch()
    assert site.stored(result).status is State.SUCCEEDED
    assert len(site.ledger("start", "h")) == 2
    other.stop()
    assert other.ended() == 0


@pytest.mark.parametrize("pool", WITH_CHILDREN)
def test_a_killed_child_is_replaced_and_its_job_runs_again(site: Site, pool: PoolKind) -> None:
    worker = start(site, pool)
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))

    psutil.Process(site.started("h").pid).kill()
    site.started("h", 2)
    gate.touch()

    stored = site.stored(result)
    assert (stored.status, stored.attempt) == (State.SUCCEEDED, 2)
    assert worker.process.poll() is None


@pytest.mark.parametrize("pool", EVERY_POOL)
def test_a_stop_lets_what_runs_end_and_gives_back_what_waits(site: Site, pool: PoolKind) -> None:
    worker = start(site, pool, "--grace-seconds", "60")
    gate = site.gate()
    running = jobs.hold.delay("h", str(gate))
    site.started("h")
    # As many as fill what else the pool has, and some that wait.
    waiting = [jobs.hold.delay(f"w{number}", str(gate)) for number in range(8)]

    worker.stop()
    says_that_it_stops(worker, pool)
    begun = {entry.key for entry in site.ledger("start")}
    gate.touch()

    assert worker.ended() == 0
    assert site.stored(running).status is State.SUCCEEDED
    assert {entry.key for entry in site.ledger("end")} == begun == {entry.key for entry in site.ledger("start")}
    left = [view for result in waiting if (view := site.view(result)) is not None]
    assert len(left) == 9 - len(begun) > 0
    assert {(view.state, view.failures, view.crashes, view.suspect) for view in left} == {(State.QUEUED, 0, 0, False)}
    assert site.worker("--burst", "--pool", pool.value).ended() == 0
    assert all(result.successful() for result in waiting)


def says_that_it_stops(worker: Worker, pool: PoolKind) -> None:
    """Wait until the worker has taken the signal in; solo says so only by its session, at its next renewal."""
    if pool is not PoolKind.SOLO:
        worker.says("Stopping")
        return
    until(lambda: [handle.state.value for handle in workers() if handle.is_alive] == ["stopping"])


@pytest.mark.parametrize("pool", WITH_LOOP)
def test_a_coroutine_outlives_the_soft_limit_nowhere(site: Site, pool: PoolKind) -> None:
    start(site, pool)

    stored = site.stored(limited.cancelled_softly.delay("c"))

    assert (stored.status, stored.error_class) == (State.FAILED, "django_jobs.exceptions.SoftTimeLimitExceeded")


@pytest.mark.parametrize("pool", WITH_CHILDREN)
def test_the_hard_limit_ends_a_function_and_the_pool_goes_on(site: Site, pool: PoolKind) -> None:
    start(site, pool)

    stored = site.stored(limited.outlasts.delay("h"))

    assert (stored.status, stored.error_class, stored.failures) == (State.FAILED, HARD, 1)
    assert jobs.note.delay("after").get(timeout=30) == "after"


@pytest.mark.parametrize("pool", EVERY_POOL)
def test_what_is_recycled_runs_all_jobs(site: Site, pool: PoolKind) -> None:
    results = [jobs.note.delay(f"n{number}") for number in range(20)]

    assert site.worker("--pool", pool.value, "-c", "2", "--max-jobs-per-child", "3", "--burst").ended(60) == 0

    assert all(result.successful() for result in results)
    assert len(site.ledger("ran")) == 20
