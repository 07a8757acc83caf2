"""Celery's behaviour as its users know it: calls, errors, values, results, priorities, eager runs.

Where ours differs, the name of the test says what holds here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connections as databases
from django.db import transaction
from django.test import override_settings

from django_jobs import (
    AsyncResult,
    InvalidArguments,
    MaxRetriesExceededError,
    ResultError,
    ResultNotStored,
    ResultTimeout,
    SerializationError,
    State,
    Task,
    TaskNotRegistered,
    current_job,
    enqueue,
    job,
)
from django_jobs.connections import connections
from django_jobs.registry import registry
from django_jobs.testing import Jobs, memory_stores

order: list[int] = []
runs: list[int] = []
received: list[Any] = []
waits: list[Any] = []


@job
def add(x: int, y: int) -> int:
    return x + y


@job
def take(value: Any) -> Any:
    received.append(value)
    return value


@job
def note(number: int) -> None:
    order.append(number)


@job(throws=(KeyError,))
def expected_failure() -> None:
    raise KeyError("k")


@job(ignore_result=True)
def ignored() -> int:
    return 1


@job
def wait_for(job_id: str, timeout: float | None) -> Any:
    waits.append(current_job())
    return AsyncResult[Any](job_id).get(timeout=timeout)


@job(bind=True, max_retries=3)
def asks_with_an_error(self: Task[..., Any], wait_seconds: float) -> None:
    runs.append(self.request.retries)
    self.retry(countdown=wait_seconds, exc=KeyError("k"))


@job(bind=True, max_retries=2)
def asks_without_an_error(self: Task[..., Any]) -> None:
    runs.append(self.request.retries)
    self.retry(countdown=0)


TASKS = (add, take, note, expected_failure, ignored, wait_for, asks_with_an_error, asks_without_an_error)


@pytest.fixture(autouse=True)
def jobs() -> Iterator[Jobs]:
    for task in TASKS:
        registry.register(task.spec)
    for noted in (order, runs, received, waits):
        noted.clear()
    with memory_stores():
        yield Jobs()
    for task in TASKS:
        registry.unregister(task.name)


def test_33_a_task_that_asks_for_retries_runs_once_more_than_they_are(jobs: Jobs) -> None:
    result = asks_with_an_error.delay(0)

    assert jobs.run() == {"retrying": 3, "failed": 1}
    assert runs == [0, 1, 2, 3]
    assert (result.state, result.attempts[-1].error_class) == ("FAILURE", "KeyError")


def test_34_without_an_error_of_its_own_it_ends_with_ours(jobs: Jobs) -> None:
    result = asks_without_an_error.delay()

    jobs.run()
    assert runs == [0, 1, 2]
    with pytest.raises(MaxRetriesExceededError):
        result.get(timeout=0)


def test_42_an_expected_error_is_a_failure_without_an_error_in_the_log(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="django_jobs")
    result = expected_failure.delay()

    jobs.run()
    assert result.state == "FAILURE"
    assert any("failed" in record.message for record in caplog.records)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    with pytest.raises(KeyError):
        result.get(timeout=0)


def test_43_a_missing_argument_is_a_type_error_in_the_caller_by_name_too(jobs: Jobs) -> None:
    for call in (lambda: add.delay(1), lambda: enqueue(add.name, 1)):  # type: ignore[call-arg]  # that is the point
        with pytest.raises(TypeError, match="missing 'y'") as caught:
            call()
        assert isinstance(caught.value, InvalidArguments)
    assert jobs.run() == {}


def test_43_an_unknown_name_is_refused_by_the_caller_and_waits_in_a_worker(jobs: Jobs) -> None:
    with pytest.raises(TaskNotRegistered):
        enqueue("tests.no_such_task")
    result = add.delay(1, 2)
    registry.unregister(add.name)

    assert jobs.run() == {"unknown_task": 1}
    assert result.status is State.QUEUED
    registry.register(add.spec)
    connections.broker.unpark([add.name])
    assert jobs.run() == {"succeeded": 1}
    assert result.get(timeout=0) == 3


def test_44_a_wait_inside_a_task_needs_a_timeout(jobs: Jobs) -> None:
    other = add.apply_async((1, 2), countdown=3600)
    endless, bounded = wait_for.delay(other.id, None), wait_for.delay(other.id, 0.01)

    assert jobs.run() == {"failed": 2}
    classes = [result.attempts[-1].error_class for result in (endless, bounded)]
    assert classes == [f"{kind.__module__}.{kind.__qualname__}" for kind in (ResultError, ResultTimeout)]
    assert len(waits) == 2


def test_44_a_timeout_leaves_the_job_to_its_end(jobs: Jobs) -> None:
    result = add.delay(1, 2)
    with pytest.raises(TimeoutError):
        result.get(timeout=0.01)

    jobs.run()
    assert result.get(timeout=0) == 3


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        UUID("018f3c5e-0000-7000-8000-000000000000"),
        datetime(2030, 1, 1, 12, tzinfo=UTC),
        date(2030, 1, 1),
        clock_time(12, 30),
        timedelta(hours=1),
        b"\0\xff",
    ],
    ids=lambda value: type(value).__name__,
)
def test_45_values_arrive_and_come_back_with_their_types(jobs: Jobs, value: Any) -> None:
    result = take.delay(value)

    jobs.run()
    for found in (received[0], result.get(timeout=0)):
        assert (type(found), found) == (type(value), value)


def test_45_a_tuple_arrives_as_a_list(jobs: Jobs) -> None:
    take.delay((1, 2))

    jobs.run()
    assert received == [[1, 2]]


@pytest.mark.parametrize("value", [{1: "a"}, {1, 2}, object()], ids=["non-string key", "set", "object"])
def test_45_what_json_has_not_is_refused_at_the_call(jobs: Jobs, value: Any) -> None:
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        take.delay(value)
    assert jobs.run() == {}


def test_46_the_first_success_of_an_id_stays(jobs: Jobs) -> None:
    first = add.apply_async((1, 1), task_id="twice")
    assert jobs.run() == {"succeeded": 1}

    second = add.apply_async((5, 5), task_id="twice")
    assert jobs.run() == {}
    assert first.get(timeout=0) == second.get(timeout=0) == 2


def test_47_a_forgotten_result_is_unknown(jobs: Jobs) -> None:
    result = add.delay(1, 2)
    jobs.run()

    assert result.forget()
    assert (result.status, result.state) == (None, "PENDING")
    with pytest.raises(ResultNotStored):
        result.get(timeout=0)


def test_47_an_ignored_result_is_none_at_once(jobs: Jobs) -> None:
    results = [ignored.delay(), *ignored.delay_many([((), {})]), add.using(ignore_result=True).delay(1, 2)]

    assert [result.get() for result in results] == [None, None, None]
    assert jobs.run() == {"succeeded": 3}
    assert [result.get() for result in results] == [None, None, None]


def test_59_the_higher_priority_runs_first_and_equals_in_their_order(jobs: Jobs) -> None:
    for number, priority in enumerate([9, 6, 3, 0, 9, 0]):
        note.apply_async((number,), priority=priority)

    jobs.run()
    assert order == [0, 4, 1, 2, 3, 5]


def test_62_delay_on_commit_returns_a_result_and_enqueues_nothing_when_rolled_back(
    jobs: Jobs, database_alias: str
) -> None:
    sent: list[AsyncResult[Any]] = []
    with pytest.raises(RuntimeError), transaction.atomic(using=database_alias):
        sent.append(add.using(using=database_alias).delay_on_commit(1, 2))
        raise RuntimeError
    assert jobs.run() == {}

    with transaction.atomic(using=database_alias):
        sent.append(add.apply_async_on_commit((1, 2), using=database_alias))
        assert jobs.run() == {}
    assert jobs.run() == {"succeeded": 1}
    assert [result.status for result in sent] == [None, State.SUCCEEDED]


def test_62_the_same_with_jobs_in_the_database(database_alias: str) -> None:
    connections.reset()
    with databases[database_alias].cursor() as cursor:  # what others have left there is due, too
        for model in apps.get_app_config("django_jobs").get_models():
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
    with override_settings(DJANGO_JOBS={"DATABASE": database_alias}):
        connections.reset()
        with pytest.raises(RuntimeError), transaction.atomic(using=database_alias):
            result = add.delay_on_commit(1, 2)
            assert result.status is State.QUEUED
            raise RuntimeError
        assert result.status is None
        assert Jobs().run() == {}


@override_settings(DJANGO_JOBS={"EAGER": True})
def test_63_eager_runs_as_often_waits_for_nothing_and_refuses_the_same() -> None:
    started = time.monotonic()
    with pytest.raises(KeyError):
        asks_with_an_error.apply_async((30,), countdown=30)

    assert runs == [0, 1, 2, 3]
    assert time.monotonic() - started < 5
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        take.delay({1, 2})
