"""The hooks of a task: what its jobs call before they run, and after what they came to has been stored."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async

from django_jobs.core.options import HOOKS
from django_jobs.core.outcome import ErrorInfo, Kind, Outcome
from django_jobs.core.spec import TaskSpec
from django_jobs.core.states import CELERY_NAMES, State
from django_jobs.execution.bound import BoundTask
from django_jobs.execution.call import Call

logger = logging.getLogger("django_jobs.worker")

_NO_ERROR: Final = ErrorInfo(error_class="")


class ErrorDetails:
    """What hooks get as `einfo`: the exception, and its traceback as text."""

    __slots__ = ("exception", "traceback")

    def __init__(self, exception: BaseException, traceback: str) -> None:
        self.exception = exception
        self.traceback = traceback

    @property
    def type(self) -> type[BaseException]:
        """The exception's class."""
        return type(self.exception)

    def __str__(self) -> str:
        return self.traceback


class Ending(NamedTuple):
    """What a run came to, as its hooks are told."""

    call: Call
    value: Any = None
    error: BaseException | None = None


class Hooks:
    """The hooks of one task. Methods of its `base` class get the task as `self`, functions the bound task."""

    def __init__(self, spec: TaskSpec, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._spec = spec
        self._functions = functions
        self.has_after = any(name != "before_start" for name in functions)
        """Whether any is called after the end of a run."""

    @classmethod
    def of(cls, spec: TaskSpec, options: Mapping[str, Callable[..., Any] | None]) -> Hooks | None:
        """Return the hooks of a task: those among its options, then those of its base class; None for none."""
        functions = {name: hook for name in HOOKS if (hook := options[name] or spec.hooks.get(name)) is not None}
        return cls(spec, functions) if functions else None

    def before(self, call: Call) -> None:
        """Call `before_start`; what it raises is what the job raises."""
        if (hook := self._functions.get("before_start")) is not None:
            _synchronous(hook)(self._self("before_start", call), *_identity(call))

    async def before_async(self, call: Call) -> None:
        """Call `before_start` of a coroutine job."""
        if (hook := self._functions.get("before_start")) is not None:
            await _asynchronous(hook)(self._self("before_start", call), *_identity(call))

    def after(self, ending: Ending, outcome: Outcome) -> None:
        """Call the hooks of a run whose end is stored; one that raises is logged, and the others are called."""
        for name, arguments in _calls(ending, outcome):
            if (hook := self._functions.get(name)) is not None:
                try:
                    _synchronous(hook)(self._self(name, ending.call), *arguments)
                except (Exception, SystemExit) as error:  # noqa: BLE001  a hook of the project's may do anything
                    self._log(name, outcome, error)

    async def after_async(self, ending: Ending, outcome: Outcome) -> None:
        """Call the hooks of a coroutine job; plain functions are called in the thread of its synchronous parts."""
        for name, arguments in _calls(ending, outcome):
            if (hook := self._functions.get(name)) is not None:
                try:
                    await _asynchronous(hook)(self._self(name, ending.call), *arguments)
                except (Exception, SystemExit) as error:  # noqa: BLE001  as above
                    self._log(name, outcome, error)

    def _self(self, name: str, call: Call) -> Any:
        if self._functions[name] is self._spec.hooks.get(name):
            return self._spec.task
        return BoundTask(self._spec, call.options, call.request)

    def _log(self, name: str, outcome: Outcome, error: BaseException) -> None:
        logger.error(
            "%s %s: its hook %s has failed. The job has %s all the same.",
            self._spec.name,
            outcome.id,
            name,
            outcome.kind.value,
            exc_info=error,
            extra={"job_id": outcome.id},
        )


def _identity(call: Call) -> tuple[Any, ...]:
    request = call.request
    return request.id, request.args, request.kwargs


def _calls(ending: Ending, outcome: Outcome) -> list[tuple[str, tuple[Any, ...]]]:
    """Return which hooks follow from an outcome, in order, and with which arguments (those of Celery's methods)."""
    identity = _identity(ending.call)
    if outcome.kind is Kind.SUCCEEDED:
        returned = CELERY_NAMES[State.SUCCEEDED], ending.value, *identity, None
        return [("on_success", (ending.value, *identity)), ("after_return", returned)]
    error = ending.error
    if error is None or outcome.kind not in {Kind.FAILED, Kind.RETRYING}:
        return []
    details = ErrorDetails(error, (outcome.error or _NO_ERROR).traceback)
    if outcome.kind is Kind.RETRYING:
        return [("on_retry", (error, *identity, details))]
    returned = CELERY_NAMES[State.FAILED], error, *identity, details
    return [("on_failure", (error, *identity, details)), ("after_return", returned)]


def _synchronous(hook: Callable[..., Any]) -> Callable[..., Any]:
    return async_to_sync(hook) if iscoroutinefunction(hook) else hook


def _asynchronous(hook: Callable[..., Any]) -> Callable[..., Any]:
    return hook if inspect.iscoroutinefunction(hook) else sync_to_async(hook)
