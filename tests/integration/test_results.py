"""What a job comes to, from the call to the stored result, through a real worker."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from django_jobs import JobExpired, JobFailed, State
from tests.integration.harness import Site, until
from tests.integration.site import jobs


def test_a_result_arrives(site: Site) -> None:
    site.worker("-c", "1").ready()

    assert jobs.note.delay("hello").get(timeout=20) == "hello"


def test_a_failure_arrives_with_its_traceback(site: Site) -> None:
    site.worker("-c", "1").ready()

    result = jobs.fail.delay("what a pity\0")

    with pytest.raises(JobFailed, match="what a pity"):
        result.get(timeout=20)
    stored = site.stored(result)
    assert stored.error_class == "RuntimeError"
    assert "raise RuntimeError(text)" in stored.traceback
    assert "executor.py" not in stored.traceback


def test_a_job_that_fails_is_retried_as_often_as_it_may(site: Site) -> None:
    site.worker("-c", "1").ready()

    stored = site.stored(jobs.flaky.delay("f"))

    starts = site.ledger("start", "f")
    assert (stored.status, stored.failures, len(starts)) == (State.FAILED, 3, 3)
    assert all(later.at - earlier.at >= 0.3 for earlier, later in pairwise(starts))
    assert [entry["attempt"] for entry in json.loads(stored.attempts)] == [entry.attempt for entry in starts]


def test_a_bound_task_asks_for_another_run(site: Site) -> None:
    site.worker("-c", "1").ready()

    assert jobs.asks_again.delay("b").get(timeout=20) == 1


def test_an_eta_is_waited_for_and_not_for_long(site: Site) -> None:
    site.worker("-c", "1").ready()
    eta = datetime.now(UTC) + timedelta(seconds=1)

    stored = site.stored(jobs.note.apply_async(("later",), eta=eta))

    assert stored.started_us is not None
    assert 0 <= stored.started_us / 1e6 - eta.timestamp() < 1.5


def test_what_has_not_started_when_it_expires_is_dropped(site: Site) -> None:
    result = jobs.note.apply_async(("too late",), expires=0.05)
    deadline = time.monotonic() + 0.1
    until(lambda: time.monotonic() > deadline)

    site.worker("-c", "1").ready()

    with pytest.raises(JobExpired):
        result.get(timeout=20)
    assert site.ledger("ran") == []


def test_higher_priority_runs_first(site: Site) -> None:
    for priority in (-1, 0, 5):
        jobs.note.apply_async((f"p{priority}",), priority=priority)

    assert site.worker("-c", "1", "--burst").ended() == 0

    assert [entry.key for entry in site.ledger("ran")] == ["p5", "p0", "p-1"]


def test_a_job_of_an_unknown_task_waits_for_a_worker_that_knows_it(site: Site) -> None:
    from django_jobs.connections import connections
    from django_jobs.core.message import Message, encode_body, new_id

    message = Message(id=new_id(), task="nobody.knows", queue="default", body=encode_body(["u"], {}))
    connections.broker.enqueue_many([message])
    first = site.worker("-c", "1").ready()
    view = until(lambda: connections.broker.state_of([message.id])[message.id])
    until(lambda: connections.broker.state_of([message.id])[message.id].parked)
    first.stop()
    assert first.ended() == 0

    site.worker("-c", "1", environment={"LATE_TASK": "nobody.knows"}).ready()

    until(lambda: site.ledger("ran", "u"), what=site.said)
    assert (view.failures, view.crashes) == (0, 0)


def test_queues_that_are_not_asked_for_are_left_alone(site: Site) -> None:
    left = jobs.note.apply_async(("left",), queue="other")
    taken = jobs.note.apply_async(("taken",), queue="mine")

    assert site.worker("-c", "1", "--burst", "--queues", "mine=2,more").ended() == 0
    assert taken.status is State.SUCCEEDED
    assert left.status is State.QUEUED

    assert site.worker("-c", "1", "--burst", "--exclude-queues", "mine").ended() == 0
    assert left.get(timeout=1) == "left"
