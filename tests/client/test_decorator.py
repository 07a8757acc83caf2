"""`@job`: what becomes a task, under which name, and what does not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from django_jobs import DuplicateTask, InvalidOptions, TaskError, job, shared_task
from django_jobs.client.task import CoroutineTask, FunctionTask, Task
from django_jobs.registry import registry
from tests.client.conftest import Declare


@job
def plain(left: int, right: int = 1) -> int:
    """Add."""
    return left + right


@job()
def called() -> None: ...


@job(queue="mail", max_retries=None, autoretry_for=(KeyError,))
async def sending(address: str) -> str:
    return address


class Holder:
    @staticmethod
    @job
    def inside(value: int) -> int:
        return value


def test_the_name_is_module_and_qualified_name() -> None:
    assert plain.name == "tests.client.test_decorator.plain"
    assert Holder.inside.name == "tests.client.test_decorator.Holder.inside"
    assert registry.require(plain.name).function is plain.spec.function


def test_the_task_looks_like_its_function() -> None:
    assert (plain.__name__, plain.__doc__, plain.__module__) == ("plain", "Add.", __name__)
    assert str(inspect.signature(plain)) == "(left: 'int', right: 'int' = 1) -> 'int'"
    assert repr(plain) == "<FunctionTask tests.client.test_decorator.plain>"


def test_bare_and_called_and_under_celerys_name() -> None:
    assert {type(plain), type(called)} == {FunctionTask}
    assert shared_task is job


def test_a_coroutine_function_makes_a_coroutine_task() -> None:
    assert isinstance(sending, CoroutineTask)
    assert sending.spec.is_async
    assert not plain.spec.is_async


def test_options_are_checked_and_take_celerys_spelling() -> None:
    assert sending.spec.given == {"queue": "mail", "max_retries": None, "retry_on": (KeyError,)}
    assert sending.options.max_retries is None
    assert plain.options.max_retries == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_retry": 3}, "'max_retry' is not an option of a task. Did you mean max_retries"),
        ({"queue": "a b"}, "queue='a b'"),
        ({"priority": 1000}, "priority=1000"),
        ({"retry_on": (3,)}, "3 is none"),
        ({"retry_on": (KeyError,), "autoretry_for": (KeyError,)}, "both given"),
        ({"name": ""}, "no name of a task"),
        ({"name": "a b"}, "no name of a task"),
        ({"name": "a\x1bb"}, "no name of a task"),
        ({"name": "x" * 256}, "no name of a task"),
        ({"name": 7}, "no name of a task"),
    ],
)
def test_wrong_options_are_refused_at_the_declaration(options: dict[str, Any], told: str) -> None:
    decorate: Any = job
    before = registry.names()
    with pytest.raises(InvalidOptions) as caught:
        decorate(**options)(lambda: None)
    assert told in str(caught.value)
    assert registry.names() == before


def test_what_a_worker_could_not_find_is_refused() -> None:
    def local() -> None: ...

    def elsewhere() -> None: ...

    elsewhere.__module__ = "__main__"
    elsewhere.__qualname__ = "elsewhere"
    with pytest.raises(TaskError, match=r"local is declared inside another function"):
        job(local)
    with pytest.raises(TaskError, match="declared inside another function or has no name"):
        job(lambda: None)
    with pytest.raises(TaskError, match="elsewhere is declared in __main__"):
        job(elsewhere)


def test_a_name_makes_a_local_function_findable(declare: Declare) -> None:
    task = declare(lambda value: value, name="tests.local")
    assert task(3) == 3
    assert registry.require("tests.local").task is task


def yields() -> Iterator[int]:
    yield 1


async def yields_too() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [3, "name", int, functools.partial(print), None.__class__])
def test_what_is_no_function_is_refused(function: Any) -> None:
    with pytest.raises(InvalidOptions, match="makes a task of a function"):
        job(function)


@pytest.mark.parametrize("function", [yields, yields_too])
def test_a_generator_is_refused(function: Any) -> None:
    with pytest.raises(InvalidOptions, match="yields; the function of a task returns"):
        job(function)


def test_a_task_is_not_decorated_twice() -> None:
    with pytest.raises(InvalidOptions, match="applied to it twice"):
        job(plain)


def test_two_functions_of_one_name_are_refused_with_both_places(declare: Declare) -> None:
    def first() -> None: ...

    def second() -> None: ...

    declare(first, name="tests.same")
    with pytest.raises(DuplicateTask) as caught:
        declare(second, name="tests.same")
    assert "first" in str(caught.value)
    assert "second" in str(caught.value)
    assert "test_decorator.py:" in str(caught.value)


def test_bind_takes_the_first_parameter_away(declare: Declare) -> None:
    def bound(self: Task[..., Any], value: int) -> int:
        return value

    def starred(*everything: Any) -> Any:
        return everything

    def without() -> None: ...

    def by_name(*, self: Any) -> None: ...

    assert str(declare(bound, bind=True).spec.signature) == "(value: 'int') -> 'int'"
    assert str(declare(starred, bind=True).spec.signature) == "(*everything: 'Any') -> 'Any'"
    for function in (without, by_name):
        with pytest.raises(InvalidOptions, match="no first parameter for bind=True"):
            declare(function, bind=True)


def test_a_decorated_function_is_a_function(declare: Declare) -> None:
    @functools.lru_cache
    def cached(value: int) -> int:
        return value

    task = declare(cached)
    assert task(1) == 1
    assert str(task.spec.signature) == "(value: 'int') -> 'int'"
