"""The hooks as methods: what a class for `@job(base=...)` overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django_jobs.core.options import HOOKS, check_hook
from django_jobs.exceptions import InvalidOptions


class HookMethods:
    """The hooks of a task, which do nothing here. `self` is the task; `self.request` is the job."""

    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run inside the job, before its function; what it raises is what the job raises."""

    def on_success(self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run after a success has been stored."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> Any:
        """Run after a final failure has been stored."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> Any:
        """Run after a failure has been stored that will run again."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> Any:
        """Run after `on_success` or `on_failure`; `status` is Celery's name, `retval` the value or the error."""


def overridden(task: HookMethods) -> Mapping[str, Callable[..., Any]]:
    """Return the hooks that the class of a task defines, as functions whose first argument is the task.

    Raises:
        InvalidOptions: one does not take what it is called with.
    """
    kind = type(task)
    found = {name: hook for name in HOOKS if (hook := getattr(kind, name)) is not getattr(HookMethods, name)}
    for name, hook in found.items():
        try:
            check_hook(name, hook)
        except TypeError as error:
            raise InvalidOptions(f"{kind.__module__}.{kind.__qualname__}.{name}: {error}") from None
    return found
