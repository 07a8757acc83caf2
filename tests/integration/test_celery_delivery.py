"""Celery's cases of delivery that need real workers, by their numbers, with the better rule where there is one."""

from __future__ import annotations

import time

import pytest

from django_jobs import State, workers
from django_jobs.connections import connections
from tests.integration.harness import Site, until
from tests.integration.site import jobs, limited

LATE_SECONDS = 10.0
"""How late a start may be on a slow machine; the rule is about seconds, the bound about noise."""
CLOCKS_SECONDS = 0.02
"""Between the broker's clock and this process's."""


def test_49_a_countdown_is_kept_and_what_expired_behind_another_job_never_starts(site: Site) -> None:
    site.worker("-c", "1").ready()
    begun = time.monotonic()
    later = jobs.spend.apply_async(("later", 2.0), countdown=1.5)
    start = site.started("later")
    gone = jobs.note.apply_async(("gone",), expires=0.5)

    assert 1.5 <= start.at - begun < 1.5 + LATE_SECONDS
    assert site.stored(later).status is State.SUCCEEDED
    stored = site.stored(gone)
    assert stored.status is State.EXPIRED
    assert gone.state == "REVOKED"
    assert site.ledger("ran", "gone") == []


def test_54_a_stop_leaves_five_of_six_in_line_and_the_next_worker_runs_them(site: Site) -> None:
    gate = site.gate()
    results = [jobs.hold.delay(f"h{number}", str(gate)) for number in range(6)]
    worker = site.worker("-c", "1", "--grace-seconds", "60").ready()
    site.started("h0")

    worker.stop()
    worker.says("Stopping: 1 running")
    gate.touch()

    assert worker.ended() == 0
    assert results[0].successful()
    assert [result.status for result in results[1:]] == [State.QUEUED] * 5
    assert site.worker("-c", "1", "--burst").ended() == 0
    assert all(result.successful() for result in results)
    assert len(site.ledger("start")) == 6


def test_55_a_cold_stop_gives_back_what_ran_and_fails_what_may_run_once_only(site: Site) -> None:
    """Better than Celery, which loses an early-acknowledged job there."""
    worker = site.worker("-c", "2", "--grace-seconds", "60").ready()
    gate = site.gate()
    again, once = jobs.hold.delay("again", str(gate)), jobs.hold_once.delay("once", str(gate))
    for key in ("again", "once"):
        site.started(key)

    worker.stop()
    worker.says("Stopping: 2 running")
    worker.stop()

    assert worker.ended() == 130
    view = site.view(again)
    assert view is not None
    assert (view.state, view.failures, view.crashes) == (State.QUEUED, 0, 0)
    stored = site.stored(once)
    assert (stored.status, stored.error_class) == (State.FAILED, "django_jobs.exceptions.WorkerLostError")


def test_56_what_was_cancelled_while_no_worker_lived_never_runs(site: Site) -> None:
    """Better than Celery, which forgets it."""
    result = jobs.note.delay("n")
    assert result.cancel() == "cancelled"

    assert site.worker("-c", "1", "--burst").ended() == 0

    assert (result.status, result.state) == (State.CANCELLED, "REVOKED")
    assert site.ledger("ran") == []


def test_58_delayed_jobs_are_in_no_worker_s_hands(site: Site) -> None:
    """Better than Celery, which holds all of them in the worker."""
    site.worker("-c", "1").ready()
    results = jobs.note.delay_many([((f"n{number}",), {}) for number in range(1)])
    delayed = [jobs.note.apply_async((f"d{number}",), countdown=3600) for number in range(50)]
    assert results[0].get(timeout=20) == "n0"

    renewals = connections.broker.sessions()[0].renewals
    until(lambda: connections.broker.sessions()[0].renewals > renewals + 1)
    [handle] = workers()
    assert [(child["running"], child["waiting"]) for child in handle.details["children"]] == [(0, 0)]
    assert {result.status for result in delayed} == {State.SCHEDULED}
    [queue] = connections.broker.stats()
    assert (queue.scheduled, queue.running) == (50, 0)


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("count", [1, 2])
def test_60_a_rate_is_kept_over_all_workers(site: Site, count: int) -> None:
    """Better than Celery, where each worker has the rate for itself."""
    for _ in range(count):
        site.worker("-c", "2").ready()

    begun = time.monotonic()
    results = [limited.twice_a_second.delay(f"p{number}") for number in range(5)]

    assert [result.get(timeout=60) for result in results] == [f"p{number}" for number in range(5)]
    starts = sorted(entry.at for entry in site.ledger("start"))
    # A start may be late, and the next one in time: none is ahead of the pace that began with the first enqueue.
    assert all(start >= begun + number * 0.5 - CLOCKS_SECONDS for number, start in enumerate(starts))
