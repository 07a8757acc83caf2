"""EAGER: what would be enqueued runs at the call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from django.db import transaction

from django_jobs import InvalidArguments, JobFailed, SerializationError, State, Task, enqueue
from tests.client.conftest import Declare, Stores


@pytest.fixture(autouse=True)
def eager(settings: Any, stores: Stores) -> None:
    settings.DJANGO_JOBS = {"EAGER": True}


def test_each_way_of_enqueueing_runs_the_job_and_nothing_is_stored(declare: Declare, stores: Stores) -> None:
    ran: list[Any] = []

    def count(*args: Any) -> int:
        ran.append(list(args))
        return len(args)

    task = declare(count)

    results = [
        task.delay(1),
        task.apply_async((1, 2), queue="elsewhere"),
        task.enqueue((3, 4)),
        task.using(countdown=3600).delay(),
        enqueue("tests.count", 5),
        *task.delay_many([((6,), {}), ((7, 8), {})]),
        asyncio.run(task.adelay(9)),
    ]

    assert ran == [[1], [1, 2], [[3, 4]], [], [5], [6], [7, 8], [9]]
    assert [result.get(timeout=0) for result in results] == [1, 2, 1, 0, 1, 1, 2, 1]
    assert all(result.status is State.SUCCEEDED for result in results)
    assert stores.broker.list() == []


def test_the_error_is_raised_at_the_call(declare: Declare) -> None:
    error = ValueError("boom")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="boom") as caught:
        declare(fail).delay()
    assert caught.value is error


def test_or_waits_in_the_result(declare: Declare, settings: Any) -> None:
    settings.DJANGO_JOBS = {"EAGER": True, "EAGER_PROPAGATES": False}

    def fail() -> None:
        raise ValueError("boom")

    result = declare(fail).delay()
    assert result.failed()
    with pytest.raises(JobFailed, match="boom"):
        result.get(timeout=0)


def test_retries_are_as_many_and_wait_for_nothing(declare: Declare) -> None:
    runs: list[int] = []

    def fail(self: Task[..., Any]) -> None:
        runs.append(self.request.retries)
        self.retry(countdown=30, exc=KeyError("k"))

    started = time.monotonic()
    with pytest.raises(KeyError):
        declare(fail, bind=True, max_retries=3).delay()
    assert runs == [0, 1, 2, 3]
    assert time.monotonic() - started < 5


def test_a_wrong_call_is_refused_as_ever(declare: Declare) -> None:
    ran: list[int] = []

    def note(value: int) -> None:
        ran.append(value)

    task = declare(note)
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        task.delay({1, 2})
    with pytest.raises(InvalidArguments):
        task.delay()
    with pytest.raises(InvalidArguments, match="Call 1"):
        task.delay_many([((1,), {}), ((), {})])
    assert ran == []


@pytest.mark.django_db
def test_a_transaction_is_not_waited_for(declare: Declare) -> None:
    with transaction.atomic():
        result = declare(lambda: 1, name="tests.one").delay()
        assert result.get(timeout=0) == 1
