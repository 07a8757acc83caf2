"""The caller's handle on one job."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_jobs import (
    AsyncResult,
    CancelAnswer,
    JobCancelled,
    JobExpired,
    JobFailed,
    MaxRetriesExceededError,
    ResultError,
    ResultNotStored,
    ResultTimeout,
    State,
)
from django_jobs.client import producer
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.message import Message, new_id
from django_jobs.core.outcome import ErrorInfo, Kind
from django_jobs.core.serializer import Unserializable, encode_unserializable, encode_value
from django_jobs.execution.context import Request, reset_current, set_current
from django_jobs.signals import job_cancelled
from tests.client.conftest import Declare, Stores


def enqueued(**fields: Any) -> AsyncResult[Any]:
    message = Message(**{"id": new_id(), "task": "tests.task", "queue": "default", "body": '{"v":1}', **fields})
    producer.send([message])
    return AsyncResult(message.id)


def test_the_handle_is_its_id() -> None:
    result = AsyncResult[int]("a")
    assert result == AsyncResult("a") != AsyncResult("b")
    assert result != "a"
    assert {result: 1}[AsyncResult("a")] == 1
    assert (str(result), repr(result), result.task_id) == ("a", "<AsyncResult a>", "a")


def test_an_unknown_id_has_no_status_and_celerys_pending(stores: Stores) -> None:
    result = AsyncResult[int]("nobody")
    assert result.status is None
    assert result.state == "PENDING"
    assert (result.ready(), result.successful(), result.failed()) == (False, False, False)
    assert (result.result, result.traceback, result.attempts) == (None, None, [])
    with pytest.raises(ResultNotStored, match="nobody"):
        result.get(timeout=1)


@pytest.mark.django_db
@pytest.mark.parametrize("job_id", ["a\0b", "\udcff", "", "x" * 10_000, "' OR 1=1 --"])
def test_an_id_that_no_job_can_have_is_unknown_to_every_store(job_id: str) -> None:
    result = AsyncResult[int](job_id)
    assert result.status is None
    assert result.result is None
    assert result.cancel() is CancelAnswer.UNKNOWN
    assert not result.forget()
    with pytest.raises(ResultNotStored):
        result.get(timeout=0)
    with pytest.raises(ResultNotStored):
        result.retry()


def test_the_states_on_the_way_to_a_success(stores: Stores) -> None:
    result = enqueued()
    assert (result.status, result.state, result.ready()) == (State.QUEUED, "PENDING", False)
    claim = stores.claim()
    assert (result.status, result.state, result.result) == (State.RUNNING, "STARTED", None)
    stores.settle(claim, result=encode_value({"a": 1}))
    assert (result.status, result.state, result.ready(), result.successful()) == (
        State.SUCCEEDED,
        "SUCCESS",
        True,
        True,
    )
    assert result.get() == result.result == {"a": 1}
    assert result.traceback is None


def test_a_delayed_job_is_scheduled(stores: Stores) -> None:
    assert enqueued(delay_us=60_000_000).status is State.SCHEDULED


def test_get_raises_the_failure_as_text(stores: Stores) -> None:
    result = enqueued()
    stores.fail("shop.errors.OutOfStock", "no shoes: ")
    with pytest.raises(JobFailed) as caught:
        result.get()
    assert str(caught.value) == f"Job {result.id} of tests.task failed: shop.errors.OutOfStock: no shoes: "
    assert caught.value.error_class == "shop.errors.OutOfStock"
    assert result.traceback is not None
    assert result.traceback == caught.value.traceback
    assert result.failed()
    assert isinstance(result.get(propagate=False), JobFailed)
    assert isinstance(result.result, JobFailed)


def test_an_error_class_is_never_imported(stores: Stores) -> None:
    result = enqueued()
    stores.fail("os.system", "id")
    with pytest.raises(JobFailed, match=r"os\.system: id"):
        result.get()


def test_no_retries_left_has_its_own_error(stores: Stores) -> None:
    result = enqueued()
    stores.fail("django_jobs.exceptions.MaxRetriesExceededError", "no retries are left")
    with pytest.raises(MaxRetriesExceededError):
        result.get()


def test_a_crashing_job_is_quarantined_and_has_failed(stores: Stores) -> None:
    result = enqueued()
    error = ErrorInfo(error_class="django_jobs.exceptions.WorkerLostError", message="killed by SIGSEGV")
    stores.finish(Kind.CRASHED, charged=True, max_crashes=1, error=error)
    assert (result.status, result.state, result.failed()) == (State.QUARANTINED, "FAILURE", True)
    with pytest.raises(JobFailed, match="was quarantined"):
        result.get()


def test_get_of_a_cancelled_and_of_an_expired_job(stores: Stores) -> None:
    cancelled, expired = enqueued(), enqueued(queue="other")
    assert cancelled.cancel() is CancelAnswer.CANCELLED
    stores.finish(Kind.EXPIRED, queue="other")
    with pytest.raises(JobCancelled):
        cancelled.get()
    with pytest.raises(JobExpired):
        expired.get()
    assert cancelled.state == expired.state == "REVOKED"


def test_get_waits_for_the_end_and_wakes_at_once(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    result = enqueued()
    waiting = threading.Event()
    wait = stores.results.wait

    def note_and_wait(job_ids: Any, timeout_seconds: float) -> None:
        waiting.set()
        wait(job_ids, timeout_seconds)

    monkeypatch.setattr(stores.results, "wait", note_and_wait)
    got: list[Any] = []
    caller = threading.Thread(target=lambda: got.append(result.get(timeout=10)))
    caller.start()
    assert waiting.wait(10)
    stores.finish(result="7")
    caller.join(10)
    assert got == [7]


def test_get_gives_up_at_the_timeout_and_the_job_goes_on(stores: Stores) -> None:
    result = enqueued()
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match=r"within 0\.05 s; it goes on\. It is queued") as caught:
        result.get(timeout=0.05)
    assert 0.05 <= time.monotonic() - began < 5
    assert isinstance(caught.value, TimeoutError)
    assert result.status is State.QUEUED


def test_a_timeout_of_zero_looks_once(stores: Stores) -> None:
    result = enqueued()
    with pytest.raises(ResultTimeout):
        result.get(timeout=0)
    stores.finish(result="1")
    assert result.get(timeout=0) == 1


def test_aget_does_what_get_does(stores: Stores) -> None:
    async def scenario() -> tuple[Any, Any]:
        first, second = enqueued(), enqueued()
        waiting = asyncio.create_task(first.aget(timeout=10))
        with pytest.raises(ResultTimeout):
            await second.aget(timeout=0.01)
        stores.finish(result="3")
        stores.fail()
        return await waiting, await second.aget(propagate=False)

    value, failure = asyncio.run(scenario())
    assert value == 3
    assert isinstance(failure, JobFailed)


def test_a_running_job_does_not_wait_for_another_without_end(stores: Stores) -> None:
    result = enqueued()
    token = set_current(Request(id="me", task="t"))
    try:
        with pytest.raises(ResultError, match=r"Job me waits for job .* without a timeout"):
            result.get()
        with pytest.raises(ResultTimeout):
            result.get(timeout=0.01)
        stores.finish(result="1")
        assert result.get() == 1
    finally:
        reset_current(token)


def test_a_result_that_could_not_be_kept_says_so(stores: Stores) -> None:
    result = enqueued()
    stores.finish(result=encode_unserializable("of no plain type", object))
    value = result.get()
    assert isinstance(value, Unserializable)
    assert value.reason == "of no plain type"


def test_a_success_that_is_not_kept_leaves_nothing_to_get(stores: Stores) -> None:
    result = enqueued()
    stores.finish(keep=False)
    assert result.status is None
    with pytest.raises(ResultNotStored, match="ignore_result"):
        result.get(timeout=1)


def test_attempts_are_told_while_the_job_lives_and_after(stores: Stores) -> None:
    result = enqueued()
    record = AttemptRecord(attempt=1, cause="failure", error_class="ValueError", message="boom")
    stores.finish(Kind.RETRYING, record=record, delay_seconds=0.0)
    assert [attempt.message for attempt in result.attempts] == ["boom"]
    stores.finish(result="1")
    assert [attempt.cause for attempt in result.attempts] == ["failure"]


def test_cancel_of_a_claimed_an_ended_and_an_unknown_job(stores: Stores) -> None:
    result = enqueued()
    claim = stores.claim()
    assert result.cancel() is CancelAnswer.REQUESTED
    stores.settle(claim, result="1")
    assert result.cancel() is CancelAnswer.TOO_LATE
    assert AsyncResult[Any]("nobody").revoke() is CancelAnswer.UNKNOWN


def test_cancelling_a_waiting_job_is_signalled_with_its_task(stores: Stores) -> None:
    heard: list[tuple[Any, Any]] = []

    def receiver(sender: str, job_id: str, **_: Any) -> None:
        heard.append((sender, job_id))

    waiting, claimed = enqueued(), enqueued(queue="other")
    stores.claim("other")
    job_cancelled.connect(receiver)
    try:
        assert waiting.cancel() is waiting.cancel() is CancelAnswer.CANCELLED
        claimed.cancel()
    finally:
        job_cancelled.disconnect(receiver)
    assert heard == [("tests.task", waiting.id)]


@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.EXPIRED, Kind.CANCELLED])
def test_an_ended_job_can_be_retried(stores: Stores, kind: Kind) -> None:
    result = enqueued()
    stores.finish(kind)
    result.retry()
    assert result.status is State.QUEUED
    stores.finish(result="2")
    assert result.get() == 2


def test_only_what_has_ended_badly_can_be_retried(stores: Stores) -> None:
    result = enqueued()
    with pytest.raises(ResultError, match="is queued: only an ended job can be retried"):
        result.retry()
    stores.finish(result="1")
    with pytest.raises(ResultError, match=r"has succeeded\. Enqueue its task tests\.task again"):
        result.retry()
    with pytest.raises(ResultNotStored):
        AsyncResult[Any]("nobody").retry()


def test_of_two_retries_at_once_one_is_told(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    result = enqueued()
    stores.fail()
    (stored,) = stores.results.load_many([result.id]).values()
    assert stores.broker.requeue(stored)
    assert not stores.broker.requeue(stored)
    monkeypatch.setattr(stores.results, "load_many", lambda job_ids: {result.id: stored})  # as seen before the other
    with pytest.raises(ResultError, match="somebody else was quicker"):
        result.retry()


def test_forget_drops_the_result_only(stores: Stores) -> None:
    result = enqueued()
    assert not result.forget()
    assert result.status is State.QUEUED
    stores.finish(result="1")
    assert result.forget()
    assert result.status is None


class Announced(Exception):
    """An error of a project."""


class Demanding(Exception):
    """An error that cannot be made of a text."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text, code)


def test_an_announced_error_is_raised_as_itself(declare: Declare, stores: Stores) -> None:
    def work() -> None: ...

    task = declare(work, throws=(KeyError, Announced, Demanding))

    result = task.delay()
    stores.fail(f"{__name__}.Announced", "no more")
    with pytest.raises(Announced, match="no more") as caught:
        result.get(timeout=0)
    cause = caught.value.__cause__
    assert isinstance(cause, JobFailed)
    assert cause.error_class == f"{__name__}.Announced"
    assert "Traceback" in cause.traceback
    assert isinstance(result.result, Announced)
    assert isinstance(result.get(timeout=0, propagate=False), Announced)

    result = task.delay()
    stores.fail("KeyError", "'k'")
    with pytest.raises(KeyError):
        result.get(timeout=0)


@pytest.mark.parametrize("error_class", ["ValueError", "os.system", "Announced", f"{__name__}.Demanding"])
def test_every_other_error_stays_a_text(declare: Declare, stores: Stores, error_class: str) -> None:
    def work() -> None: ...

    result = declare(work, throws=(Announced, Demanding)).delay()
    stores.fail(error_class, "text")
    with pytest.raises(JobFailed, match="text") as caught:
        result.get(timeout=0)
    assert type(caught.value) is JobFailed


def test_a_name_that_came_as_data_is_never_imported(declare: Declare, stores: Stores) -> None:
    def work() -> None: ...

    result = declare(work, throws=Announced).delay()
    stores.fail("this.module.does.not.exist.Error", "text")
    with pytest.raises(JobFailed):
        result.get(timeout=0)


def test_an_announced_error_of_an_eager_job_is_the_error_itself(declare: Declare) -> None:
    error = Announced("no more")

    def work() -> None:
        raise error

    with pytest.raises(Announced) as caught:
        declare(work, throws=Announced).apply().get()
    assert caught.value is error
