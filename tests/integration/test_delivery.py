"""Celery's numbered cases of delivery, by real processes, or the better rule where Celery loses or repeats work."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from django_jobs import State, Task
from django_jobs.ports.broker import CancelAnswer
from tests.integration.harness import RENEW_SECONDS, TIMEOUT_SECONDS, Site, until
from tests.integration.site import cancelled, jobs

LOST = "django_jobs.exceptions.WorkerLostError"
RESCUED_SECONDS = TIMEOUT_SECONDS + 3 * RENEW_SECONDS
SLACK_SECONDS = 10.0
"""For a busy machine; what is measured is asserted against the clock of the records instead."""


def test_50_a_job_for_later_is_started_once_however_short_the_sessions(site: Site) -> None:
    """Celery redelivers what waits longer than its visibility timeout: four starts."""
    for _ in range(2):
        site.worker("-c", "1").ready()

    result = jobs.spend.apply_async(("later", 0.0), countdown=2.5 * TIMEOUT_SECONDS)

    assert result.get(timeout=2.5 * TIMEOUT_SECONDS + SLACK_SECONDS) == "later"
    until(lambda: not site.view(result))
    assert len(site.ledger("start", "later")) == 1
    assert site.stored(result).attempt == 1


def test_51_a_job_that_outlives_the_session_timeout_is_started_once(site: Site) -> None:
    """Celery starts it again in another slot whenever its visibility timeout is over."""
    site.worker("-c", "2").ready()

    result = jobs.spend.delay("long", 2.5 * TIMEOUT_SECONDS)

    assert result.get(timeout=2.5 * TIMEOUT_SECONDS + SLACK_SECONDS) == "long"
    assert len(site.ledger("start", "long")) == 1
    assert site.stored(result).attempts == ""


@pytest.mark.parametrize(
    ("task", "starts", "status"),
    [(jobs.hold_once, 1, State.FAILED), (jobs.hold, 2, State.SUCCEEDED)],
    ids=["acks_late=False", "acks_late=True"],
)
def test_52_a_job_whose_child_is_killed_runs_again_unless_it_may_run_once(
    site: Site, task: Task[..., int], starts: int, status: State
) -> None:
    """Celery counts it as failed, unless reject_on_worker_lost is set, too."""
    site.worker("-c", "1").ready()
    gate = site.gate()
    result = task.delay("k", str(gate))
    started = site.started("k")

    os.kill(started.pid, signal.SIGKILL)

    site.started("k", times=starts)
    gate.touch()
    stored = site.stored(result)
    assert stored.status is status
    assert stored.error_class == (LOST if status is State.FAILED else "")
    assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["crash"]
    assert len(site.ledger("start", "k")) == starts


@pytest.mark.parametrize("once", [False, True], ids=["acks_late=True", "acks_late=False"])
def test_53_a_killed_worker_s_job_is_started_twice_in_all_or_has_failed_within_the_lease(
    site: Site, once: bool
) -> None:
    """With early acknowledgement Celery leaves it STARTED for ever."""
    victim = site.worker("-c", "1").ready()
    gate = site.gate()
    result = (jobs.hold_once if once else jobs.hold).delay("g", str(gate))
    site.started("g")

    victim.signal_group(signal.SIGKILL)
    killed_at = time.monotonic()
    site.worker("-c", "1").ready()

    if once:
        stored = site.stored(result, RESCUED_SECONDS + SLACK_SECONDS)
        assert (stored.status, stored.error_class) == (State.FAILED, LOST)
    else:
        second = site.started("g", times=2, seconds=RESCUED_SECONDS + SLACK_SECONDS)
        assert second.at - killed_at > TIMEOUT_SECONDS / 2  # not before the first may have ended
        gate.touch()
        stored = site.stored(result)
        assert stored.status is State.SUCCEEDED
    assert len(site.ledger("start", "g")) == (1 if once else 2)
    assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["session death"]


def test_57_a_revoke_is_durable_and_terminate_stops_the_body(site: Site) -> None:
    """Celery forgets revokes with the worker's memory; terminate costs it a child."""
    worker = site.worker("-c", "1").ready()
    later = jobs.note.apply_async(("later",), countdown=3600)
    assert later.revoke() is CancelAnswer.CANCELLED
    assert (later.status, later.state) == (State.CANCELLED, "REVOKED")
    result = cancelled.sleep.delay("body")
    site.started("body")
    time.sleep(1.0)  # it is one that has run for a while

    asked_at = time.monotonic()
    assert result.revoke(terminate=True) is CancelAnswer.REQUESTED

    stored = site.stored(result)
    [left] = site.ledger("left", "body")
    assert (stored.status, result.state) == (State.CANCELLED, "REVOKED")
    assert left.at - asked_at < SLACK_SECONDS
    worker.stop()
    assert worker.ended() == 0
    site.worker("-c", "1").ready()
    assert jobs.note.delay("after").get(timeout=20) == "after"
    assert not site.ledger("ran", "later")
    assert later.status is State.CANCELLED
