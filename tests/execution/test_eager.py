"""Running a task at the call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from django_jobs.core.policy import Policy
from django_jobs.core.spec import TaskSpec
from django_jobs.core.states import State
from django_jobs.exceptions import SerializationError
from django_jobs.execution.eager import MAX_EAGER_RUNS, EagerRun, run_eagerly


def eager(function: Callable[..., Any], *args: Any, **given: Any) -> EagerRun:
    spec = TaskSpec(
        name="t",
        function=function,
        given=given,
        is_async=inspect.iscoroutinefunction(function),
        module=__name__,
        signature=inspect.signature(function),
    )
    return run_eagerly(spec, args, policy=Policy())


def test_arguments_go_through_the_serializer() -> None:
    run = eager(lambda value: value, (1, 2))

    assert (run.state, run.value, run.outcome.result) == (State.SUCCEEDED, [1, 2], "[1,2]")
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        eager(lambda value: value, object())


def test_retries_run_at_once_and_are_counted() -> None:
    calls = []

    def function() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError
        return "third"

    run = eager(function, retry_on=ValueError, default_retry_delay=3600)

    assert (run.value, run.failures, run.outcome.attempt) == ("third", 2, 3)


def test_a_failure_has_the_error_itself() -> None:
    error = KeyError("k")

    def function() -> None:
        raise error

    run = eager(function)

    assert run.state is State.FAILED
    assert run.error is error


def test_retries_without_end_do_end() -> None:
    def function() -> None:
        raise ValueError

    run = eager(function, retry_on=ValueError, max_retries=None)

    assert (run.state, run.failures) == (State.FAILED, MAX_EAGER_RUNS - 1)


def test_a_coroutine_runs_with_and_without_a_loop_around() -> None:
    async def function(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    async def main() -> EagerRun:
        return eager(function, 1)

    assert eager(function, 1).value == 2
    assert asyncio.run(main()).value == 2
