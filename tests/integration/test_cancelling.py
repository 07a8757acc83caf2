"""Cancelling jobs that run, in real workers: what reaches the function, what is killed, and what is on record."""

from __future__ import annotations

import json

import pytest

from django_jobs import JobCancelled, State, Task
from django_jobs.ports.broker import CancelAnswer
from tests.integration.harness import Site, until
from tests.integration.site import cancelled, jobs

GRACE = {"CANCEL_GRACE_SECONDS": 0.5}
STOPPED_SECONDS = 10.0
"""It is about one; a busy machine may take more. `test_the_body_stops_within_a_second` measures."""


@pytest.mark.parametrize("task", [cancelled.sleep, cancelled.sleep_async])
def test_a_terminated_job_is_left_at_once_and_ends_cancelled(site: Site, task: Task[..., str]) -> None:
    worker = site.worker("-c", "1").ready()
    before = {process.pid for process in worker.processes()}
    result = task.delay("t")
    site.started("t")

    assert result.cancel(terminate=True) is CancelAnswer.REQUESTED

    stored = site.stored(result, STOPPED_SECONDS)
    assert (stored.status, stored.failures, stored.crashes) == (State.CANCELLED, 0, 0)
    assert len(site.ledger("left", "t")) == 1
    [record] = json.loads(stored.attempts)
    assert record["cause"] == "cancelled"
    assert "sleep(" in record["traceback"]
    with pytest.raises(JobCancelled):
        result.get(timeout=0)
    assert jobs.note.delay("after").get(timeout=20) == "after"
    assert {process.pid for process in worker.processes()} == before


@pytest.mark.parametrize("task", [cancelled.swallow, cancelled.stuck_in_c])
def test_a_job_that_does_not_end_is_killed_after_the_grace(site: Site, task: Task[..., None]) -> None:
    worker = site.worker("-c", "2", settings=GRACE).ready()
    gate = site.gate()
    neighbour = jobs.hold.delay("neighbour", str(gate))
    beside = site.started("neighbour")
    result = task.delay("s")
    start = site.started("s")

    result.revoke(terminate=True)

    stored = site.stored(result, STOPPED_SECONDS)
    assert (stored.status, stored.failures, stored.crashes) == (State.CANCELLED, 0, 0)
    [record] = json.loads(stored.attempts)
    assert record["cause"] == "cancelled"
    assert f"process {start.pid} was killed" in record["message"]
    until(lambda: start.pid not in {process.pid for process in worker.processes()})
    until(lambda: len(worker.processes()) == 3, what="a keeper and two children")
    assert len(site.ledger("swallowed", "s")) == (1 if task is cancelled.swallow else 0)
    gate.touch()
    assert neighbour.get(timeout=20) == beside.pid
    assert len(site.ledger("start", "s")) == 1


def test_jobs_beside_a_killed_one_run_again_uncharged(site: Site) -> None:
    """In threads nothing can be raised: the process goes, and the others with it."""
    site.worker("-c", "1", "--threads", "2", settings=GRACE).ready()
    gate = site.gate()
    both = {key: jobs.hold.delay(key, str(gate)) for key in ("a", "b")}
    for key in both:
        site.started(key)
    # One of the two is in the main thread, where the exception reaches it: stop the one that is not.
    doomed = cancelled.swallow.delay("doomed")
    gate.touch()
    assert [result.get(timeout=20) for result in both.values()]
    site.started("doomed")
    second = site.gate("second")
    neighbour = jobs.hold.delay("neighbour", str(second))
    site.started("neighbour")

    doomed.cancel(terminate=True)

    assert site.stored(doomed, STOPPED_SECONDS).status is State.CANCELLED
    site.started("neighbour", times=2)
    second.touch()
    kept = site.stored(neighbour)
    assert (kept.status, kept.failures, kept.crashes) == (State.SUCCEEDED, 0, 0)
    [record] = json.loads(kept.attempts)
    assert record["cause"] == "interrupted"
    assert "a job beside it was cancelled" in record["message"]


def test_a_job_that_catches_the_cancel_and_returns_has_succeeded(site: Site) -> None:
    site.worker("-c", "1").ready()
    result = cancelled.clean_up.delay("c")
    site.started("c")

    result.cancel(terminate=True)

    assert result.get(timeout=STOPPED_SECONDS) == "cleaned"


def test_an_error_of_the_cleaning_up_does_not_make_a_cancel_a_failure(site: Site) -> None:
    site.worker("-c", "1").ready()
    result = cancelled.fail_at_cleaning_up.delay("e")
    site.started("e")

    result.cancel(terminate=True)

    stored = site.stored(result, STOPPED_SECONDS)
    assert stored.status is State.CANCELLED
    [record] = json.loads(stored.attempts)
    assert "ValueError" in record["traceback"]
    assert "JobCancelled" in record["traceback"]


@pytest.mark.parametrize(("raises", "status"), [(True, State.CANCELLED), (False, State.SUCCEEDED)])
def test_a_job_sees_a_plain_cancel_and_decides(site: Site, raises: bool, status: State) -> None:
    site.worker("-c", "1").ready()
    gate = site.gate()
    gate.touch()
    result = cancelled.look.delay("l", raises, str(gate))
    site.started("l")
    assert not site.ledger("asked", "l")

    assert result.cancel() is CancelAnswer.REQUESTED

    assert site.stored(result, STOPPED_SECONDS).status is status
    assert len(site.ledger("asked", "l")) == 1


def test_solo_raises_in_the_job_too(site: Site) -> None:
    site.worker("--pool", "solo").ready()
    result = cancelled.sleep.delay("s")
    site.started("s")

    result.cancel(terminate=True)

    assert site.stored(result, STOPPED_SECONDS).status is State.CANCELLED
    assert jobs.note.delay("after").get(timeout=20) == "after"


def test_of_many_coroutines_only_the_one_that_was_meant_is_cancelled(site: Site) -> None:
    site.worker("-c", "1").ready()
    gate = site.gate()
    others = [jobs.hold_async.delay(f"o{number}", str(gate)) for number in range(10)]
    meant = cancelled.sleep_async.delay("meant")
    for number in range(10):
        site.started(f"o{number}")
    site.started("meant")

    meant.cancel(terminate=True)

    assert site.stored(meant, STOPPED_SECONDS).status is State.CANCELLED
    gate.touch()
    assert len({result.get(timeout=20) for result in others}) == 1
