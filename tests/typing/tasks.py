"""A task has the parameters and the result of its function."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from django_jobs import AsyncResult, CancelAnswer, State, Task, current_job, enqueue, job, shared_task
from django_jobs.client.eager import EagerResult
from django_jobs.execution.context import Request


@job
def add(left: int, right: int = 1) -> int:
    return left + right


@job(
    queue="mail", max_retries=None, retry_on=(KeyError,), default_retry_delay=timedelta(minutes=1), admin_runnable=True
)
def send(address: str, *, subject: str) -> None: ...


@shared_task(bind=True, autoretry_for=(ValueError,))
def bound(self: Task[..., Any], value: int) -> str:
    assert_type(self.request, Request)
    if value < 0:
        self.retry(exc=ValueError(), countdown=5)
    return str(value)


@job
async def fetch(url: str) -> bytes:
    return url.encode()


@job(bind=True)
async def fetch_bound(self: Task[..., Any], url: str) -> bytes:
    return url.encode()


def a_call_has_the_functions_types() -> None:
    assert_type(add(1), int)
    assert_type(add.delay(1, right=2), AsyncResult[int])
    assert_type(add.enqueue(1).get(timeout=3), int)
    assert_type(add.apply_async((1,), {"right": 2}, queue="x", countdown=timedelta(1)), AsyncResult[int])
    assert_type(add.delay_many([((1,), {})]), list[AsyncResult[int]])
    assert_type(add.apply((1,)), EagerResult[int])
    assert_type(add.using(queue="x").delay(1), AsyncResult[int])
    assert_type(add.delay(1).status, State | None)
    assert_type(add.delay(1).cancel(), CancelAnswer)
    assert_type(bound.delay(1), AsyncResult[str])
    assert_type(bound(1), str)
    assert_type(enqueue("shop.jobs.add", 1), AsyncResult[Any])
    assert_type(current_job(), Request | None)


async def a_coroutine_function_has_its_own_result() -> None:
    coroutine = assert_type(fetch("x"), Coroutine[Any, Any, bytes])
    assert_type(await coroutine, bytes)
    assert_type(await fetch("x"), bytes)
    assert_type(fetch.delay("x"), AsyncResult[bytes])
    assert_type(await fetch.adelay("x"), AsyncResult[bytes])
    assert_type(await (await fetch.aenqueue("x")).aget(), bytes)
    assert_type(await fetch.aapply_async(("x",), eta=datetime.now(UTC)), AsyncResult[bytes])
    assert_type(fetch_bound.delay("x"), AsyncResult[bytes])
    assert_type(await fetch_bound("x"), bytes)


def wrong_calls_are_errors() -> None:
    add.delay("1")  # type: ignore[arg-type]
    add.delay()  # type: ignore[call-arg]
    add.delay(1, wrong=2)  # type: ignore[call-arg]
    add("1")  # type: ignore[arg-type]
    add.enqueue(1, "2")  # type: ignore[arg-type]
    send.delay("a")  # type: ignore[call-arg]
    bound.delay(bound, 1)  # type: ignore[call-arg, arg-type]
    fetch.delay(3)  # type: ignore[arg-type]
    add.apply_async((1,), countdwn=3)  # type: ignore[call-arg]
    add.apply_async((1,), countdown="3")  # type: ignore[arg-type]
    add.using(task="x")  # type: ignore[call-arg]
    add.delay_many([1])  # type: ignore[list-item]


def wrong_options_are_errors() -> None:
    job(queue=3)  # type: ignore[call-overload]
    job(max_retry=3)  # type: ignore[call-overload]
    job(retry_on=(3,))  # type: ignore[arg-type]


def a_task_can_be_passed_as_one() -> None:
    def takes(task: Task[[int, int], int]) -> AsyncResult[int]:
        return task.delay(1, 2)

    takes(add)
    takes(send)  # type: ignore[arg-type]
    takes(fetch)  # type: ignore[arg-type]

    def takes_any(task: Task[..., Any]) -> AsyncResult[Any]:
        return task.delay(1, 2, 3)

    takes_any(add)
    takes_any(fetch)
