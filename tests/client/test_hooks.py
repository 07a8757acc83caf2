"""Hooks: of a base class and among the options; in which order, with what, and what becomes of one that raises."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from django_jobs import InvalidOptions, State, Task, current_job
from django_jobs.core.options import HOOKS
from django_jobs.testing import run_jobs
from tests.client.conftest import Declare, Stores

pytestmark = pytest.mark.django_db

Calls = list[tuple[Any, ...]]


def recording(calls: Calls, names: Any = HOOKS) -> dict[str, Callable[..., Any]]:
    """Return hooks that note their name, what they are called with, and the job that they are called in."""

    def hook(name: str) -> Callable[..., Any]:
        def function(*args: Any) -> None:
            job = current_job()
            assert job is not None
            assert args[0].request.id == job.id
            calls.append((name, *args[1:]))

        return function

    return {name: hook(name) for name in names}


def test_41_a_success_calls_its_hooks_in_order(stores: Stores, declare: Declare) -> None:
    calls: Calls = []
    result = declare(lambda number: number + 1, name="tests.adds", **recording(calls)).apply((1,))

    assert [call[0] for call in calls] == ["before_start", "on_success", "after_return"]
    assert calls[1] == ("on_success", 2, result.id, (1,), {})
    assert calls[2] == ("after_return", "SUCCESS", 2, result.id, (1,), {}, None)


def test_41_a_retry_and_a_failure_call_theirs(stores: Stores, declare: Declare) -> None:
    calls: Calls = []

    def fails() -> None:
        raise ValueError("boom")

    declare(fails, retry_on=(ValueError,), max_retries=1, **recording(calls)).apply()

    assert [call[0] for call in calls] == ["before_start", "on_retry", "before_start", "on_failure", "after_return"]
    _, error, _, _, _, details = calls[3]
    assert isinstance(error, ValueError)
    assert details.exception is error
    assert details.type is ValueError
    assert "ValueError: boom" in details.traceback
    assert str(details) == details.traceback
    assert calls[4][1:3] == ("FAILURE", error)


class Base(Task[..., Any]):
    """A class of tasks, as projects have them."""

    calls: Calls = []

    @property
    def database(self) -> str:
        return f"connection of {self.name}"

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        super().on_success(retval, task_id, args, kwargs)
        self.calls.append(("on_success", retval, self.request.id == task_id))

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.calls.append(("on_failure", type(exc)))


def test_a_base_class_brings_hooks_and_attributes(stores: Stores, declare: Declare) -> None:
    Base.calls.clear()
    task = declare(lambda self: self.database, name="tests.based", base=Base, bind=True)

    assert isinstance(task, Base)
    assert task.apply().get() == "connection of tests.based"
    assert Base.calls == [("on_success", "connection of tests.based", True)]
    assert task.using(queue="q").apply_async(on_commit=False).status is State.QUEUED


def test_an_option_goes_before_the_method_of_the_base_class(stores: Stores, declare: Declare) -> None:
    Base.calls.clear()
    calls: Calls = []
    declare(lambda: 1, name="tests.both", base=Base, **recording(calls, ["on_success"])).apply()

    assert Base.calls == []
    assert [call[0] for call in calls] == ["on_success"]


def test_coroutine_hooks_are_awaited(stores: Stores, declare: Declare) -> None:
    calls: Calls = []

    async def job() -> int:
        return 7

    async def on_success(self: Any, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        calls.append((retval,))

    declare(job, on_success=on_success).apply()
    declare(lambda: 8, name="tests.unhooked", on_success=on_success).apply()

    assert calls == [(7,), (8,)]


@pytest.mark.parametrize("error", [RuntimeError("broken hook"), SystemExit(3)])
def test_a_hook_that_raises_changes_nothing_and_the_others_are_called(
    stores: Stores, declare: Declare, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    calls: Calls = []

    def on_success(*args: Any) -> None:
        raise error

    hooks = recording(calls, ["after_return"]) | {"on_success": on_success}
    result = declare(lambda: 5, name="tests.hooked", **hooks).apply_async(on_commit=False)
    with caplog.at_level(logging.ERROR, logger="django_jobs.worker"):
        assert run_jobs() == {"succeeded": 1}

    assert result.get(timeout=0) == 5
    assert [call[0] for call in calls] == ["after_return"]
    [record] = caplog.records
    assert "its hook on_success has failed" in record.getMessage()
    assert record.exc_info is not None


def test_what_before_start_raises_is_what_the_job_raises(stores: Stores, declare: Declare) -> None:
    ran: list[int] = []

    def before_start(self: Any, task_id: str, args: Any, kwargs: Any) -> None:
        raise PermissionError("not you")

    result = declare(lambda: ran.append(1), name="tests.refused", before_start=before_start).apply()

    assert ran == []
    assert (result.status, type(result.error)) == (State.FAILED, PermissionError)


def test_a_hook_that_cannot_be_called_is_refused_at_the_declaration(declare: Declare) -> None:
    with pytest.raises(InvalidOptions, match=r"on_failure=.*called with \(self, exc, task_id, args, kwargs, einfo\)"):
        declare(lambda: None, name="tests.short", on_failure=lambda self, exc: None)
    with pytest.raises(InvalidOptions, match="it is a function"):
        declare(lambda: None, name="tests.text", on_retry="shop.hooks.tell")

    class Wrong(Task[..., Any]):
        def after_return(self, status: str) -> None:  # type: ignore[override]  # wrong on purpose
            pass

    with pytest.raises(InvalidOptions, match=r"Wrong\.after_return: it is called with"):
        declare(lambda: None, name="tests.wrong", base=Wrong)


def test_a_base_that_is_no_task_is_refused(declare: Declare) -> None:
    with pytest.raises(InvalidOptions, match=r"no subclass of django_jobs\.Task"):
        declare(lambda: None, name="tests.odd", base=dict)
