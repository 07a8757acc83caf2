"""Pools: who runs beside whom, in which process."""

from __future__ import annotations

import json
import signal

import pytest

from django_jobs import State, Task
from tests.integration.harness import Site
from tests.integration.site import jobs


def test_threads_of_one_process_run_jobs_at_the_same_time(site: Site) -> None:
    site.worker("--pool", "threads", "-c", "3").ready()

    pids = {result.get(timeout=20) for result in [jobs.meet_in_threads.delay(3) for _ in range(3)]}

    assert len(pids) == 1


def test_processes_with_threads_run_jobs_at_the_same_time(site: Site) -> None:
    site.worker("-c", "1", "--threads", "2").ready()

    assert len({result.get(timeout=20) for result in [jobs.meet_in_threads.delay(2) for _ in range(2)]}) == 1


def test_coroutines_run_beside_each_other_up_to_the_slots(site: Site) -> None:
    site.worker("--pool", "asyncio", "-c", "20").ready()

    results = [jobs.meet.delay(f"c{number}", 20) for number in range(20)]

    assert len({result.get(timeout=20) for result in results}) == 1
    assert jobs.note.delay("sync beside them").get(timeout=20) == "sync beside them"


def test_coroutines_run_on_one_loop_in_each_process(site: Site) -> None:
    site.worker("-c", "1").ready()

    names = {result.get(timeout=20) for result in [jobs.coroutine.delay(f"c{n}", 0.05) for n in range(10)]}

    assert names == {"django_jobs-coroutines"}


def test_solo_runs_jobs_in_the_first_process(site: Site) -> None:
    worker = site.worker("--pool", "solo").ready()

    assert jobs.where.delay().get(timeout=20) == worker.process.pid

    worker.stop()
    assert worker.ended() == 0


@pytest.mark.parametrize("task", [jobs.hold, jobs.hold_async])
def test_solo_gives_back_what_outlasts_the_grace(site: Site, task: Task[..., int]) -> None:
    worker = site.worker("--pool", "solo", "--grace-seconds", "0.3").ready()
    result = task.delay("h", str(site.gate()))
    site.started("h")

    worker.stop()

    assert worker.ended(5) == 0
    view = site.view(result)
    assert view is not None
    assert (view.state, view.failures, view.crashes, view.suspect) == (State.QUEUED, 0, 0, False)
    assert [entry["cause"] for entry in json.loads(view.attempts)] == ["interrupted"]


def test_solo_fails_what_may_run_once_at_most_and_outlasts_the_grace(site: Site) -> None:
    worker = site.worker("--pool", "solo", "--grace-seconds", "0.3").ready()
    result = jobs.hold_once.delay("once", str(site.gate()))
    site.started("once")

    worker.stop()

    assert worker.ended(5) == 0
    stored = site.stored(result)
    assert (stored.status, stored.error_class) == (State.FAILED, "django_jobs.exceptions.WorkerLostError")


def test_solo_drains_and_ends(site: Site) -> None:
    result = jobs.note.delay("solo")

    assert site.worker("--pool", "solo", "--burst").ended() == 0
    assert result.successful()


def test_a_crash_makes_suspects_of_all_that_ran_and_charges_none(site: Site) -> None:
    worker = site.worker("--pool", "threads", "-c", "2").ready()
    gate = site.gate()
    neighbour = jobs.hold.delay("neighbour", str(gate))
    site.started("neighbour")

    poison = jobs.kill_yourself.delay("p")
    site.started("p")
    gate.touch()
    stored = site.stored(poison)

    # Once beside the neighbour, uncharged; then alone until the third charge.
    assert (stored.status, stored.crashes) == (State.QUARANTINED, 3)
    assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["crash"] * 4
    kept = site.stored(neighbour)
    assert (kept.status, kept.crashes) == (State.SUCCEEDED, 0)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ended() == 0
