"""Limits of time in real workers: what is raised, what is killed, and at whose cost."""

from __future__ import annotations

import json

import pytest

from django_jobs import State, Task
from tests.integration.harness import Site, until
from tests.integration.site import jobs, limited

SOFT = "django_jobs.exceptions.SoftTimeLimitExceeded"
HARD = "django_jobs.exceptions.TimeLimitExceeded"


def test_a_job_that_catches_its_soft_limit_cleans_up_and_succeeds(site: Site) -> None:
    worker = site.worker("-c", "1").ready()

    assert limited.cleans_up.delay("c").get(timeout=20) == "cleaned"

    [start], [cleaned] = site.ledger("start", "c"), site.ledger("cleaned", "c")
    assert 0.39 <= cleaned.at - start.at < 0.9
    assert "It was here" in worker.log
    assert "time.sleep(30)" in worker.log


def test_a_soft_limit_that_is_not_caught_fails_the_job_with_the_stack_of_that_moment(site: Site) -> None:
    site.worker("-c", "1").ready()

    stored = site.stored(limited.outlasts_softly.delay("o"))

    assert (stored.status, stored.error_class, stored.crashes) == (State.FAILED, SOFT, 0)
    assert "0.4 s" in stored.error_message
    assert "time.sleep(30)" in stored.traceback
    assert jobs.note.delay("the same child goes on").get(timeout=20)


@pytest.mark.parametrize("task", [limited.outlasts, limited.swallows, limited.stuck_in_c])
def test_a_job_over_its_hard_limit_is_gone_within_a_second(site: Site, task: Task[..., None]) -> None:
    worker = site.worker("-c", "2").ready()
    before = {process.pid for process in worker.processes()}
    gate = site.gate()
    neighbour = jobs.hold.delay("neighbour", str(gate))
    beside = site.started("neighbour")

    result = task.delay("h")
    start = site.started("h")
    stored = site.stored(result)

    assert (stored.status, stored.error_class, stored.failures, stored.crashes) == (State.FAILED, HARD, 1, 0)
    assert stored.started_us is not None
    assert stored.finished_us is not None
    assert 1.0 <= (stored.finished_us - stored.started_us) / 1e6 < 2.0
    assert "1 s" in stored.error_message
    until(lambda: start.pid not in {process.pid for process in worker.processes()}, 2)
    until(lambda: len(worker.processes()) == 3, what="a keeper and two children")
    assert len(before & {process.pid for process in worker.processes()}) == 2  # the keeper and the neighbour's child
    gate.touch()
    assert neighbour.get(timeout=20) == beside.pid
    assert len(site.ledger("start", "h")) == 1


def test_the_neighbours_of_a_killed_job_run_again_uncharged(site: Site) -> None:
    site.worker("-c", "1", "--threads", "2").ready()
    gate = site.gate()
    neighbour = jobs.hold.delay("neighbour", str(gate))
    site.started("neighbour")

    stored = site.stored(limited.outlasts.delay("h"))

    assert (stored.status, stored.error_class) == (State.FAILED, HARD)
    site.started("neighbour", times=2)
    gate.touch()
    kept = site.stored(neighbour)
    assert (kept.status, kept.crashes, kept.failures) == (State.SUCCEEDED, 0, 0)
    [entry] = json.loads(kept.attempts)
    assert entry["cause"] == "interrupted"
    assert "a job beside it" in entry["message"]


def test_a_task_that_retries_on_the_hard_limit_runs_again(site: Site) -> None:
    site.worker("-c", "1").ready()

    result = limited.retried_after_the_kill.delay("r")

    assert result.get(timeout=20) == "second"
    stored = site.stored(result)
    assert (stored.failures, stored.crashes) == (1, 0)
    [entry] = json.loads(stored.attempts)
    assert (entry["cause"], entry["error_class"]) == ("time limit", HARD)


def test_a_task_that_is_not_acknowledged_on_failure_comes_back_from_its_limit_and_its_errors(site: Site) -> None:
    site.worker("-c", "1").ready()

    result = limited.comes_back.delay("b")

    assert result.get(timeout=20) == "third"
    stored = site.stored(result)
    assert (stored.failures, stored.crashes) == (2, 0)
    assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["time limit", "failure"]


def test_a_coroutine_is_cancelled_at_its_soft_limit_and_those_beside_it_are_not(site: Site) -> None:
    site.worker("-c", "1").ready()
    beside = jobs.coroutine.delay("beside", 1.0)
    site.started("beside")

    stored = site.stored(limited.cancelled_softly.delay("c"))

    assert (stored.status, stored.error_class) == (State.FAILED, SOFT)
    assert "await asyncio.sleep(30)" in stored.traceback
    assert len(site.ledger("cleaned", "c")) == 1
    assert site.stored(beside).attempts == ""


def test_a_coroutine_that_blocks_the_loop_is_killed_at_its_hard_limit(site: Site) -> None:
    site.worker("-c", "1").ready()

    stored = site.stored(limited.blocks_the_loop.delay("b"))

    assert (stored.status, stored.error_class) == (State.FAILED, HARD)
    assert jobs.note.delay("after").get(timeout=20) == "after"


def test_a_call_and_the_worker_limit_what_the_task_does_not(site: Site) -> None:
    site.worker("-c", "1", "--soft-time-limit", "0.3").ready()

    by_worker = limited.unlimited.delay("worker", 30)
    by_call = limited.unlimited.apply_async(("call", 30), time_limit=0.2)
    own = limited.cleans_up.delay("own")

    assert site.stored(by_worker).error_class == SOFT
    assert site.stored(by_call).error_class == HARD
    assert own.get(timeout=20) == "cleaned"
    [start], [cleaned] = site.ledger("start", "own"), site.ledger("cleaned", "own")
    assert cleaned.at - start.at >= 0.39


def test_solo_raises_soft_limits_and_says_that_it_keeps_no_hard_ones(site: Site) -> None:
    worker = site.worker("--pool", "solo").ready()

    assert limited.cleans_up.delay("s").get(timeout=20) == "cleaned"

    assert "keeps no hard limits" in worker.log
    assert "limited.outlasts" in worker.log


def test_threads_say_that_they_raise_no_soft_limits(site: Site) -> None:
    worker = site.worker("--pool", "threads", "-c", "2").ready()

    assert limited.quick.delay("q").get(timeout=20) == "q"

    assert "not raised in threads" in worker.log
    assert "limited.cancelled_softly" not in worker.log


def test_many_limited_jobs_leave_nothing_behind(site: Site) -> None:
    """A signal or a kill that is meant for one job never reaches another one."""
    worker = site.worker("-c", "2").ready()
    before = {process.pid for process in worker.processes()}

    results = [limited.unlimited.apply_async((f"u{n}", 0.02), soft_time_limit=0.5, time_limit=1) for n in range(60)]

    assert [result.get(timeout=30) for result in results] == [f"u{n}" for n in range(60)]
    assert {process.pid for process in worker.processes()} == before
