"""A registered function with its options: all that a worker needs to run a job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django_jobs.core.options import TaskOptions, resolve
from django_jobs.exceptions import InvalidOptions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskSpec:
    """A task as the registry holds it. `given` are the decorator's arguments; see `options_over`."""

    name: str
    function: Callable[..., Any]
    given: Mapping[str, Any]
    is_async: bool
    module: str
    signature: inspect.Signature
    """Of the function, without the bound first argument."""
    hooks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Those that its `base` class defines."""
    task: Any = None
    """What `@job` returned, for callers that start from the name; running a job never needs it."""

    def options_over(self, defaults: Mapping[str, Any]) -> TaskOptions:
        """Return the options of this task over TASK_DEFAULTS.

        Raises:
            InvalidOptions: a default is wrong.
        """
        options = resolve(self.given, defaults)
        check_function(options.atomic, is_async=self.is_async)
        return options


def check_function(atomic: bool, *, is_async: bool) -> None:
    """Refuse an atomic coroutine function.

    Raises:
        InvalidOptions: saying why.
    """
    if atomic and is_async:
        raise InvalidOptions(
            "atomic=True is for plain functions: Django has no transactions in coroutines, and all coroutine jobs of a "
            "process share one connection. Write the task with def."
        )
