"""`apply`: a job that runs at the call."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from django_jobs import (
    CancelAnswer,
    InvalidArguments,
    JobFailed,
    MaxRetriesExceededError,
    ResultError,
    SerializationError,
    State,
    Task,
    current_job,
)
from django_jobs.core.message import decode_body
from tests.client.conftest import Declare, Stores


def test_it_goes_through_the_serializer_both_ways(stores: Stores, declare: Declare) -> None:
    received: list[Any] = []

    def echo(value: Any) -> Any:
        received.append(value)
        return value

    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    result = declare(echo).apply(((1, noon),))
    assert received == [[1, noon]]
    assert result.get() == result.result == [1, noon]
    assert (result.status, result.successful(), result.traceback, result.attempts) == (State.SUCCEEDED, True, None, [])
    assert stores.broker.list() == []
    with pytest.raises(SerializationError):
        declare(echo, name="tests.echo_again").apply((object(),))


def test_a_coroutine_function_runs_to_its_end_also_inside_a_loop(declare: Declare) -> None:
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    task = declare(double)

    async def inside() -> Any:
        return task.apply((2,)).get()

    assert task.apply((2,)).get() == 4
    assert asyncio.run(inside()) == 4


def test_a_failure_is_told_as_a_stored_one_with_the_original_behind_it(declare: Declare) -> None:
    def fail() -> None:
        raise ValueError("boom")

    result = declare(fail).apply()
    assert (result.status, result.state, result.failed(), result.ready()) == (State.FAILED, "FAILURE", True, True)
    with pytest.raises(JobFailed, match="ValueError: boom") as caught:
        result.get()
    assert isinstance(caught.value.__cause__, ValueError)
    assert result.error is caught.value.__cause__
    assert result.traceback is not None
    assert "boom" in result.traceback
    assert isinstance(result.get(propagate=False), JobFailed)
    assert [attempt.error_class for attempt in result.attempts] == ["ValueError"]


def test_retries_run_at_once_and_count_as_in_a_worker(declare: Declare) -> None:
    seen: list[int] = []

    def flaky(self: Task[..., Any]) -> str:
        seen.append(self.request.retries)
        if len(seen) < 3:
            self.retry(exc=KeyError("again"), countdown=3600)
        return "done"

    assert declare(flaky, bind=True).apply().get() == "done"
    assert seen == [0, 1, 2]


def test_a_bound_job_can_enqueue_its_own_task(stores: Stores, declare: Declare) -> None:
    def fan_out(self: Task[..., Any], depth: int) -> str:
        return self.delay(depth - 1).id if depth else ""

    result = declare(fan_out, bind=True).apply((1,))
    (view,) = stores.broker.list()
    assert view.id == result.get()
    body = decode_body(view.body)
    assert (body.args, body.parent_id, body.root_id) == ((0,), result.id, result.id)


def test_no_retries_left_without_an_error(declare: Declare) -> None:
    runs: list[int] = []

    def never(self: Task[..., Any]) -> None:
        runs.append(1)
        self.retry()

    with pytest.raises(MaxRetriesExceededError):
        declare(never, bind=True).apply(max_retries=1).get()
    assert len(runs) == 2


def test_the_request_says_what_was_asked_for(declare: Declare) -> None:
    seen: list[Any] = []

    def look() -> None:
        job = current_job()
        assert job is not None
        seen.append((job.id, job.queue, job.priority, job.headers, job.is_eager, job.parent_id))

    def outer(inner: str) -> None:
        task.apply(task_id=inner)

    task = declare(look)
    task.apply(task_id="mine", queue="fast", priority=4, headers={"tenant": "a", "day": date(2030, 1, 1)})
    declare(outer).apply(("inner",), task_id="parent")
    assert seen == [
        ("mine", "fast", 4, {"tenant": "a", "day": date(2030, 1, 1)}, True, None),
        ("inner", "default", 0, {}, True, "parent"),
    ]
    assert current_job() is None


def test_it_has_ended_and_was_never_stored(stores: Stores, declare: Declare) -> None:
    result = declare(lambda: 1, name="tests.one").apply()
    assert result.cancel() is result.revoke() is CancelAnswer.TOO_LATE
    assert not result.forget()
    with pytest.raises(ResultError, match="ran at the call"):
        result.retry()
    assert stores.results.load_many([result.id]) == {}


def test_a_wrong_call_is_refused_as_at_delay(declare: Declare) -> None:
    with pytest.raises(InvalidArguments):
        declare(lambda: 1, name="tests.one").apply((1,))
