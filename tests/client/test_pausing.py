"""Pausing and cancelling from Python: what may be said, what comes back, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_jobs import (
    AsyncResult,
    CancelCounts,
    State,
    Task,
    cancel_jobs,
    job,
    pause_queue,
    pause_task,
    paused,
    resume_queue,
    resume_task,
)
from django_jobs.client import cancelling
from django_jobs.connections import connections
from django_jobs.registry import registry
from django_jobs.signals import job_cancelled
from django_jobs.testing import run_jobs
from django_jobs.testing.child import Child
from django_jobs.testing.stores import memory_stores


@pytest.fixture(autouse=True)
def stores() -> Iterator[None]:
    with memory_stores():
        yield


@pytest.fixture
def send() -> Iterator[Task[..., Any]]:
    @job(name="tests.send")
    def send(number: int = 0) -> int:
        return number

    yield send
    registry.unregister("tests.send")


def test_what_is_paused_waits_and_goes_on(send: Task[..., Any]) -> None:
    result = send.delay(1)
    assert pause_task(send, reason=" a\nb ", by="ann") is True
    assert pause_task("tests.send") is False
    assert run_jobs() == {}
    (pause,) = paused()
    assert (pause.kind, pause.name, pause.by, pause.reason) == ("task", "tests.send", "ann", "a b")
    assert abs(pause.since_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert str(pause).endswith(" UTC, by ann: a b")
    assert resume_task("tests.send") is True
    assert resume_task(send) is False
    assert run_jobs() == {"succeeded": 1}
    assert result.get() == 1


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "ü", 7, None])
def test_a_name_that_no_queue_can_have_is_refused(name: Any) -> None:
    for call in (pause_queue, resume_queue):
        with pytest.raises(ValueError, match="is no name of a queue"):
            call(name)


@pytest.mark.parametrize("name", ["", "a b", "a" * 256, "a\n", 7])
def test_a_name_that_no_task_can_have_is_refused(name: Any) -> None:
    for call in (pause_task, resume_task):
        with pytest.raises(ValueError, match="is no name of a task"):
            call(name)


def test_texts_that_are_too_long_are_refused_and_others_cleaned() -> None:
    with pytest.raises(ValueError, match="reason has 501 characters; at most 500"):
        pause_queue("mail", reason="x" * 501)
    with pytest.raises(ValueError, match="by has 151 characters; at most 150"):
        pause_queue("mail", by="x" * 151)
    assert paused() == []
    pause_queue("mail", reason="a\0b\ud800")
    assert paused()[0].reason == "a\ufffdb?"


def test_only_what_fits_all_that_is_given_is_cancelled(send: Task[..., Any]) -> None:
    plain, other = send.delay(), send.apply_async(queue="other")
    later = send.apply_async(countdown=60)
    keyed = send.apply_async(unique_key="k")
    assert cancel_jobs(task=send, queue="other") == CancelCounts(cancelled=1)
    assert cancel_jobs(task=send, state="scheduled") == CancelCounts(cancelled=1)
    assert cancel_jobs(task=send, unique_key="k") == CancelCounts(cancelled=1)
    assert cancel_jobs(task="tests.other", everything=True) == CancelCounts()
    assert cancel_jobs(older_than=timedelta(hours=1)) == CancelCounts()
    assert [result.status for result in (other, later, keyed)] == [State.CANCELLED] * 3
    assert plain.status == State.QUEUED
    assert cancel_jobs(older_than=0) == CancelCounts(cancelled=1)


def test_running_jobs_are_asked_only_where_that_is_said(send: Task[..., Any]) -> None:
    result = send.delay()
    child = Child(connections.broker)
    claim = child.claim_one()
    assert cancel_jobs(task=send) == CancelCounts()
    assert cancel_jobs(task=send, running=True) == CancelCounts(requested=1)
    assert cancel_jobs(task=send, running=True) == CancelCounts(), "it was asked before"
    child.settle(claim)
    assert AsyncResult(result.id).status == State.SUCCEEDED


def test_more_than_a_page_is_cancelled_and_each_is_told_of(send: Task[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(cancelling, "PAGE", 10)
    results = send.delay_many([((number,), {}) for number in range(35)])
    heard = []

    def hear(sender: Any, job_id: str, **_: Any) -> None:
        heard.append(job_id)

    job_cancelled.connect(hear)
    try:
        assert cancel_jobs(queue="default") == CancelCounts(cancelled=35)
    finally:
        job_cancelled.disconnect(hear)
    assert sorted(heard) == sorted(result.id for result in results)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Which jobs"),
        ({"running": True}, "Which jobs"),
        ({"state": "succeeded"}, "has ended"),
        ({"state": "nonsense"}, "nonsense"),
        ({"unique_key": "k"}, "give that too"),
    ],
)
def test_what_cannot_be_meant_is_refused(send: Task[..., Any], given: dict[str, Any], says: str) -> None:
    send.delay()
    with pytest.raises(ValueError, match=says):
        cancel_jobs(**given)
    assert len(connections.broker.list()) == 1
    assert cancel_jobs(everything=True) == CancelCounts(cancelled=1)
