"""The ways in which a worker ends: stopped, drained, at a limit; and children that are replaced."""

from __future__ import annotations

import json
import signal
import time

from django_jobs import State
from tests.integration.harness import GRACE_SECONDS, Site, until
from tests.integration.site import jobs


def test_a_stop_under_load_loses_nothing_and_burns_no_attempt(site: Site) -> None:
    results = [jobs.spend.delay(f"s{number}", 0.02) for number in range(200)]
    worker = site.worker("-c", "2").ready()
    until(lambda: len(site.ledger("end")) >= 20)

    begun = time.monotonic()
    worker.stop()
    assert worker.ended(GRACE_SECONDS + 3) == 0
    assert time.monotonic() - begun < GRACE_SECONDS + 3

    assert 20 <= len(site.ledger("end")) < 200
    live = [view for result in results if (view := site.view(result)) is not None]
    assert len(live) + len([result for result in results if result.successful()]) == 200
    assert {(view.state, view.failures, view.crashes, view.suspect) for view in live} == {(State.QUEUED, 0, 0, False)}
    assert site.worker("-c", "2", "--burst").ended() == 0
    assert all(result.successful() for result in results)
    assert len(site.ledger("start")) == 200


def test_a_job_that_outlasts_the_grace_is_given_back_uncharged(site: Site) -> None:
    worker = site.worker("-c", "1").ready()
    result = jobs.stubborn.delay("st", str(site.gate()))
    started = site.started("st")

    begun = time.monotonic()
    worker.signal_group(signal.SIGTERM)

    assert worker.ended(GRACE_SECONDS + 3) == 0
    assert GRACE_SECONDS - 0.2 < time.monotonic() - begun < GRACE_SECONDS + 3
    view = site.view(result)
    assert view is not None
    assert (view.state, view.failures, view.crashes, view.suspect) == (State.QUEUED, 0, 0, False)
    assert [entry["cause"] for entry in json.loads(view.attempts)] == ["interrupted"]
    site.gate().touch()
    assert site.worker("--burst", "-c", "1").ended() == 0
    assert site.stored(result).status is State.SUCCEEDED
    assert site.ledger("start", "st")[-1].attempt > started.attempt


def test_a_second_signal_stops_at_once(site: Site) -> None:
    worker = site.worker("-c", "1", "--grace-seconds", "60").ready()
    result = jobs.stubborn.delay("st", str(site.gate()))
    site.started("st")

    worker.stop()
    worker.says("Stopping")
    worker.stop()

    assert worker.ended(5) == 130
    view = site.view(result)
    assert view is not None
    assert (view.state, view.crashes) == (State.QUEUED, 0)


def test_running_jobs_have_the_grace_to_end(site: Site) -> None:
    worker = site.worker("-c", "1", "--grace-seconds", "20").ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    site.started("h")

    worker.stop()
    worker.says("Stopping: 1 running")
    gate.touch()

    assert worker.ended(5) == 0
    assert result.successful()


def test_burst_ends_when_nothing_is_due(site: Site) -> None:
    results = [jobs.note.delay(f"b{number}") for number in range(50)]
    later = jobs.note.apply_async(("later",), countdown=3600)

    assert site.worker("-c", "2", "--burst").ended() == 0

    assert all(result.successful() for result in results)
    assert later.status is State.SCHEDULED


def test_burst_runs_what_its_own_crash_gave_back(site: Site) -> None:
    poison = jobs.kill_yourself.delay("p")

    assert site.worker("-c", "1", "--burst").ended(30) == 0

    assert poison.status is State.QUARANTINED


def test_a_worker_ends_after_its_number_of_jobs(site: Site) -> None:
    results = [jobs.note.delay(f"m{number}") for number in range(20)]

    assert site.worker("-c", "2", "--max-jobs", "7").ended() == 0

    assert len(site.ledger("ran")) == 7
    assert sum(result.successful() for result in results) == 7
    assert {result.status for result in results} == {State.SUCCEEDED, State.QUEUED}


def test_a_child_is_replaced_after_its_number_of_jobs(site: Site) -> None:
    results = [jobs.where.delay() for _ in range(12)]

    assert site.worker("-c", "1", "--burst", "--max-jobs-per-child", "4").ended() == 0

    pids = [result.get(timeout=1) for result in results]
    assert sorted(pids.count(pid) for pid in set(pids)) == [4, 4, 4]


def test_a_child_is_replaced_once_it_has_grown(site: Site) -> None:
    site.worker("-c", "1", "--max-memory-per-child", "200").ready()

    pids = [jobs.grow.delay(300).get(timeout=20) for _ in range(3)]

    assert len(set(pids)) == 3
    assert site.stored(jobs.note.delay("x")).crashes == 0
