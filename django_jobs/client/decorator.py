"""`@job`: makes a task of a function and registers it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import timedelta
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from asgiref.sync import iscoroutinefunction

from django_jobs.client.arguments import CallShape
from django_jobs.client.task import CoroutineTask, FunctionTask, Task
from django_jobs.core.bounds import Conflict
from django_jobs.core.fairness import FairKey, missing_fields
from django_jobs.core.message import TASK_NAME_MAX_LENGTH
from django_jobs.core.options import canonical, check_together
from django_jobs.core.schedule import Schedule
from django_jobs.core.spec import TaskSpec, check_function
from django_jobs.exceptions import InvalidArguments, InvalidOptions
from django_jobs.registry import registry

P = ParamSpec("P")
R = TypeVar("R")

Hook = Callable[..., Any]
ErrorClasses = type[BaseException] | Iterable[type[BaseException]]


class JobOptions(TypedDict, total=False):
    """The options of `@job` beside `name` and `bind`; `core.options.TaskOptions` says what each means."""

    queue: str | None
    priority: int
    retry_on: ErrorClasses
    autoretry_for: ErrorClasses
    dont_retry_on: ErrorClasses
    dont_autoretry_for: ErrorClasses
    retry_kwargs: Mapping[str, Any]
    max_retries: int | None
    default_retry_delay: float | timedelta | None
    retry_backoff: float | bool | None
    retry_backoff_max: float | timedelta
    retry_jitter: bool
    retry_for: float | timedelta | None
    expires: float | timedelta | None
    ignore_result: bool
    result_ttl: float | timedelta | None
    acks_late: bool
    acks_on_failure: bool
    acks_on_failure_or_timeout: bool
    reject_on_worker_lost: bool | None
    atomic: bool
    keep_logs: bool
    soft_time_limit: float | timedelta | None
    time_limit: float | timedelta | None
    unique: bool | Callable[..., Any]
    unique_until: Literal["finished", "start"]
    unique_for: float | timedelta | None
    unique_conflict: Conflict
    concurrency: int | None
    concurrency_key: Callable[..., Any] | None
    rate_limit: str | float | None
    rate_key: Callable[..., Any] | None
    fair_key: FairKey | None
    throws: ErrorClasses
    before_start: Hook | None
    on_success: Hook | None
    on_failure: Hook | None
    on_retry: Hook | None
    after_return: Hook | None
    base: type[Task[..., Any]] | None
    schedule: Schedule | None
    admin_runnable: bool
    description: str


class Decorator(Protocol):
    """What `@job(...)` applies to a function."""

    # A coroutine function is also a function that returns a coroutine: mypy takes the first overload that fits.
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R], /) -> FunctionTask[P, R]: ...


class BoundDecorator(Protocol):
    """What `@job(bind=True)` applies to a function whose first parameter is the bound task."""

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> FunctionTask[P, R]: ...


@overload
def job(function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...  # type: ignore[overload-overlap]
@overload
def job(function: Callable[P, R], /) -> FunctionTask[P, R]: ...
@overload
def job(*, bind: Literal[True], name: str | None = None, **options: Unpack[JobOptions]) -> BoundDecorator: ...
@overload
def job(*, bind: bool = False, name: str | None = None, **options: Unpack[JobOptions]) -> Decorator: ...


def job(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a task of a function: `@job`, or `@job(queue="mail", max_retries=5)`.

    The name, under which a job finds the function, is its module and qualified name. Options not given here come from
    TASK_DEFAULTS. With `bind=True` the function gets the bound task as its first argument.

    Raises:
        InvalidOptions: an option is unknown or wrong, or no worker could find the function.
        DuplicateTask: another function has the name.
    """
    if function is None:
        return lambda decorated: _register(decorated, name, options)
    return _register(function, name, options)


shared_task = job


def _register(function: Callable[..., Any], name: str | None, options: dict[str, Any]) -> Task[..., Any]:
    _check_function(function)
    given = canonical(options)
    check_together(given)
    is_async = iscoroutinefunction(function)
    check_function(given.get("atomic", False), is_async=is_async)
    spec = TaskSpec(
        name=_default_name(function) if name is None else _check_name(name),
        function=function,
        given=given,
        is_async=is_async,
        module=function.__module__,
        signature=_signature(function, bind=given.get("bind", False)),
    )
    if given.get("schedule") is not None:
        _check_callable_bare(spec)
    if isinstance(given.get("fair_key"), str):
        _check_fair_key(spec, given["fair_key"])
    task: Task[..., Any] = _task_class(given.get("base"), CoroutineTask if is_async else FunctionTask)(spec)
    registry.register(task.spec)
    return task


@functools.cache
def _task_class(base: type | None, kind: type[Task[..., Any]]) -> type[Task[..., Any]]:
    """Return the class of a task: its base class, where it has one, over the one for its kind of function."""
    if base is None:
        return kind
    if not issubclass(base, Task):
        raise InvalidOptions(f"base={base!r}: it is no subclass of django_jobs.Task.")
    made: type[Task[..., Any]] = type(base.__name__, (base, kind), {"__module__": base.__module__})
    return made


def _check_function(function: Any) -> None:
    if isinstance(function, Task):
        raise InvalidOptions(f"{function.name} is a task already: @job is applied to it twice.")
    if isinstance(function, type) or not callable(function) or not hasattr(function, "__qualname__"):
        raise InvalidOptions(f"@job makes a task of a function, and {function!r:.80} is none.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOptions(f"{function.__module__}.{function.__qualname__} yields; the function of a task returns.")


def _check_callable_bare(spec: TaskSpec) -> None:
    try:
        CallShape(spec.name, spec.signature).check((), {})
    except InvalidArguments:
        raise InvalidOptions(
            f"{spec.name}{spec.signature} has a schedule, whose jobs are called without arguments, and it needs some. "
            "Give its parameters defaults, or declare the schedule with its args in DJANGO_JOBS['SCHEDULES']."
        ) from None


def _check_fair_key(spec: TaskSpec, template: str) -> None:
    if missing := missing_fields(template, spec.signature):
        raise InvalidOptions(
            f"fair_key={template!r}: {spec.name}{spec.signature} has no parameter {missing[0]!r}. Name one that it has."
        )


def _default_name(function: Callable[..., Any]) -> str:
    module, qualname = function.__module__, function.__qualname__
    if module == "__main__":
        raise InvalidOptions(
            f"{qualname} is declared in __main__, a module that a worker knows by another name. Move it to the jobs.py "
            "of an app, or give the task a name: @job(name=...)."
        )
    if "<" in qualname:
        raise InvalidOptions(
            f"{module}.{qualname} is declared inside another function or has no name, so that a worker cannot find it. "
            "Move it to the top of its module, or give the task a name: @job(name=...)."
        )
    return _check_name(f"{module}.{qualname}")


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= TASK_NAME_MAX_LENGTH or not name.isprintable() or " " in name:
        raise InvalidOptions(
            f"name={name!r:.300} is no name of a task: 1 to {TASK_NAME_MAX_LENGTH} printable characters without spaces."
        )
    return name


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature without evaluating its annotations."""
    if sys.version_info >= (3, 14):  # they are evaluated late there, and may name what only type checkers import
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


def _signature(function: Callable[..., Any], *, bind: bool) -> inspect.Signature:
    signature = signature_of(function)
    if not bind:
        return signature
    first, *others = signature.parameters.values() or (None,)
    if first is None or first.kind not in {
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    }:
        raise InvalidOptions(
            f"{function.__module__}.{function.__qualname__}{signature} has no first parameter for bind=True to fill. "
            "Write it as def f(self, ...)."
        )
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        others = [first, *others]
    return signature.replace(parameters=others)
