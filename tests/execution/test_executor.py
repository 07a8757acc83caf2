"""One claimed job, run in this thread: what it comes to."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message, encode_body
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.serializer import Unserializable, decode_value, to_plain
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import Retry
from django_jobs.execution.context import current_job
from django_jobs.execution.executor import Executor, is_expected
from django_jobs.execution.plan import Plan, Plans
from django_jobs.signals import job_started

pytestmark = pytest.mark.django_db


def spec(function: Callable[..., Any], **given: Any) -> TaskSpec:
    return TaskSpec(
        name="t",
        function=function,
        given=given,
        is_async=inspect.iscoroutinefunction(function),
        module=__name__,
        signature=inspect.signature(function),
    )


def claim(*args: Any, options: dict[str, Any] | None = None, **fields: Any) -> Claim:
    body = encode_body([to_plain(value, "args") for value in args], {}, options=options, headers={"h": 1})
    message = Message(id="job-1", task="t", queue="q", body=fields.pop("body", body), priority=3)
    given: dict[str, Any] = {"message": message, "name": ClaimName("s", 1, 2), "attempt": 5} | fields
    return Claim(**given)


def executor(function: Callable[..., Any], *, keeps_results: bool = True, **given: Any) -> tuple[Executor, Plan]:
    made = spec(function, **given)
    plans = Plans(lambda name: made if name == "t" else None, {})
    runner = Executor(plans, worker="w/1", keeps_results=keeps_results, max_result_bytes=1000, random=Random(1))
    plan = plans.get("t")
    assert plan is not None
    return runner, plan


def run(function: Callable[..., Any], *args: Any, fields: dict[str, Any] | None = None, **given: Any) -> Outcome:
    runner, plan = executor(function, **given)
    return runner.run(claim(*args, **fields or {}), plan)


def fails(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def test_a_value_becomes_a_success_under_the_claims_fence() -> None:
    outcome = run(lambda left, right: left + right, 1, 2)

    assert (outcome.kind, outcome.result, outcome.keep) == (Kind.SUCCEEDED, "3", True)
    assert (outcome.id, outcome.name, outcome.attempt, outcome.worker) == ("job-1", ClaimName("s", 1, 2), 5, "w/1")
    assert outcome.started_us is not None
    assert outcome.finished_us is not None
    assert outcome.finished_us >= outcome.started_us


def test_arguments_arrive_as_they_were_sent() -> None:
    seen: list[Any] = []
    run(seen.append, [datetime(2026, 1, 2, tzinfo=UTC), b"x"])

    assert seen == [[datetime(2026, 1, 2, tzinfo=UTC), b"x"]]


def test_the_job_knows_itself_while_it_runs_and_only_then() -> None:
    seen: list[Any] = []
    run(lambda: seen.append(current_job()), fields={"failures": 2, "crashes": 1})

    [request] = seen
    assert request is not None
    assert (request.id, request.task, request.queue, request.priority) == ("job-1", "t", "q", 3)
    assert (request.retries, request.crashes, request.attempt, request.headers) == (2, 1, 5, {"h": 1})
    assert current_job() is None


def test_a_bound_task_gets_itself() -> None:
    outcome = run(lambda self: f"{self.name} {self.request.id} {self.max_retries}", bind=True, max_retries=7)

    assert decode_value(outcome.result) == "t job-1 7"


def test_the_call_overrides_the_tasks_options() -> None:
    outcome = run(
        fails(ValueError()), fields={"options": {"max_retries": 0, "from_a_later_version": 1}}, retry_on=ValueError
    )

    assert outcome.kind is Kind.FAILED


def test_an_error_is_a_failure_with_its_traceback_and_without_our_frames() -> None:
    outcome = run(fails(ValueError("no")))

    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.error.message) == ("ValueError", "no")
    assert "in function" in outcome.error.traceback
    assert "execution/executor.py" not in outcome.error.traceback
    assert outcome.record is not None
    assert (outcome.record.cause, outcome.record.attempt, outcome.record.message) == ("failure", 5, "no")


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError(), RecursionError()])
def test_whatever_a_job_raises_is_its_failure(error: BaseException) -> None:
    assert run(fails(error)).kind is Kind.FAILED


def test_only_a_keyboard_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(fails(KeyboardInterrupt()))


def test_an_error_in_retry_on_is_retried_until_none_is_left() -> None:
    given: dict[str, Any] = {"retry_on": ValueError, "max_retries": 2, "default_retry_delay": 4}
    kinds = [run(fails(ValueError()), fields={"failures": failures}, **given).kind for failures in range(3)]

    assert kinds == [Kind.RETRYING, Kind.RETRYING, Kind.FAILED]
    assert run(fails(ValueError()), **given).delay_seconds == 4


@pytest.mark.parametrize("how", ["raised", "returned"])
def test_a_retry_counts_whether_raised_or_returned(how: str) -> None:
    def function() -> Retry:
        retry = Retry(error=OSError("down"), countdown=2)
        if how == "raised":
            raise retry
        return retry

    outcome = run(function)

    assert (outcome.kind, outcome.delay_seconds) == (Kind.RETRYING, 2)
    assert outcome.record is not None
    assert (outcome.record.error_class, outcome.record.message) == ("OSError", "down")


def test_a_retry_without_an_error_that_is_one_too_many_says_so() -> None:
    outcome = run(fails(Retry()), fields={"failures": 3})

    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert outcome.error.error_class == "django_jobs.exceptions.MaxRetriesExceededError"


def test_a_message_that_cannot_be_read_is_a_failure() -> None:
    outcome = run(lambda: None, fields={"body": '{"v":99}'})

    assert outcome.error is not None
    assert "format version 99" in outcome.error.message


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * 2000])
def test_a_result_that_cannot_be_kept_is_a_success_all_the_same(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = run(lambda: value)

    assert outcome.kind is Kind.SUCCEEDED
    assert isinstance(decode_value(outcome.result), Unserializable)
    assert "its result was not kept" in caplog.text


def test_a_result_that_nobody_wants_is_not_encoded() -> None:
    outcome = run(object, ignore_result=True)

    assert (outcome.kind, outcome.keep, outcome.result) == (Kind.SUCCEEDED, False, "")


def test_an_expired_job_and_one_of_an_unknown_task_are_refused() -> None:
    runner, plan = executor(lambda: None)

    expired, unknown = runner.refuse(claim(expired=True), plan), runner.refuse(claim(), None)

    assert expired is not None
    assert unknown is not None
    assert (expired.kind, unknown.kind) == (Kind.EXPIRED, Kind.UNKNOWN_TASK)
    assert runner.refuse(claim(), plan) is None


def test_a_coroutine_runs_on_a_loop_and_without_one() -> None:
    async def function() -> str:
        request = current_job()
        assert request is not None
        return request.id

    runner, plan = executor(function)

    assert asyncio.run(runner.run_async(claim(), plan)).result == '"job-1"'
    assert runner.run(claim(), plan).result == '"job-1"'


def test_a_coroutine_that_the_worker_cancels_has_no_outcome_and_one_that_cancels_itself_fails() -> None:
    started = asyncio.Event()

    async def waits() -> None:
        started.set()
        await asyncio.Event().wait()

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    async def main() -> Outcome:
        runner, plan = executor(waits)
        task = asyncio.create_task(runner.run_async(claim(), plan))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other, other_plan = executor(cancels_itself)
        return await other.run_async(claim(), other_plan)

    assert asyncio.run(main()).kind is Kind.FAILED


def test_job_started_is_sent_before_the_function_is_called() -> None:
    events: list[Any] = []

    def receive(sender: str, claim: Claim, **_: Any) -> None:
        events.append((sender, claim.message.id))

    job_started.connect(receive)
    try:
        run(lambda: events.append("called"))
    finally:
        job_started.disconnect(receive)

    assert events == [("t", "job-1"), "called"]


def test_a_receiver_that_raises_changes_nothing() -> None:
    def receive(**_: Any) -> None:
        raise ValueError

    job_started.connect(receive)
    try:
        assert run(lambda: 1).kind is Kind.SUCCEEDED
    finally:
        job_started.disconnect(receive)


def test_an_error_that_the_task_announces_is_expected() -> None:
    _, plan = executor(lambda: None, throws=(KeyError,))

    assert is_expected(plan, "KeyError")
    assert not is_expected(plan, "ValueError")
    assert not is_expected(None, "KeyError")


def test_a_test_cases_own_transaction_is_left_alone() -> None:
    def function() -> bool:
        return connection.in_atomic_block

    assert connection.in_atomic_block
    assert run(function).result == "true"
    assert connection.in_atomic_block
    assert connection.is_usable()


@pytest.mark.django_db(transaction=True)
def test_a_block_that_a_job_leaves_open_is_rolled_back(caplog: pytest.LogCaptureFixture) -> None:
    def function() -> None:
        transaction.atomic().__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    with caplog.at_level(logging.WARNING):
        assert run(function).kind is Kind.SUCCEEDED

    assert not connection.in_atomic_block
    assert "returned inside transaction.atomic()" in caplog.text
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.django_db(transaction=True)
def test_autocommit_that_a_job_leaves_off_is_on_for_the_next(caplog: pytest.LogCaptureFixture) -> None:
    run(lambda: transaction.set_autocommit(False))

    assert transaction.get_autocommit()
    assert "left autocommit off" in caplog.text
