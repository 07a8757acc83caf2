"""What running a task takes, worked out once per task and kept: function, options, flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django_jobs.core.message import decode_body
from django_jobs.core.options import HOOKS, TaskOptions, canonical, with_limits
from django_jobs.core.spec import TaskSpec
from django_jobs.execution.hooks import Hooks


class Plan:
    """One task, ready to run."""

    __slots__ = ("bind", "function", "hooks", "is_async", "is_plain", "options", "run_seconds", "spec")

    def __init__(self, spec: TaskSpec, options: TaskOptions) -> None:
        self.spec = spec
        self.options = options
        self.function = spec.function
        self.bind = options.bind
        self.is_async = spec.is_async
        self.hooks = Hooks.of(spec, {name: getattr(options, name) for name in HOOKS})
        self.is_plain = self.hooks is None and is_plain(options)
        self.run_seconds: float | None = None
        """A running mean of how long its jobs take here; None until the first has ended."""

    def options_of(self, body: str) -> TaskOptions:
        """Return the options of the job with this encoded body.

        Raises:
            InvalidMessage, InvalidOptions: the body is not readable, or a value in it cannot be.
        """
        given = decode_body(body).options
        return self.with_overrides(given) if given else self.options

    def with_overrides(self, given: Mapping[str, Any]) -> TaskOptions:
        """Return the options of a job that overrode some; what this version does not know is left out."""
        known = {name: value for name, value in given.items() if name in TaskOptions.__dataclass_fields__}
        return replace(self.options, **canonical(known))


def is_plain(options: TaskOptions) -> bool:
    """Say whether the function of a job with these options is called without anything around it."""
    return (
        options.soft_time_limit is None and options.time_limit is None and not options.keep_logs and not options.atomic
    )


class Plans:
    """Task name -> Plan, made at the first job of each task. The two limits are for tasks without any of their own."""

    def __init__(
        self,
        find: Callable[[str], TaskSpec | None],
        defaults: Mapping[str, Any],
        *,
        soft_seconds: float | None = None,
        hard_seconds: float | None = None,
    ) -> None:
        self._find = find
        self._defaults = defaults
        self._soft_seconds = soft_seconds
        self._hard_seconds = hard_seconds
        self._plans: dict[str, Plan] = {}

    def get(self, task: str) -> Plan | None:
        """Return the plan of the task, or None for one that nobody here knows."""
        plan = self._plans.get(task)
        if plan is None:
            spec = self._find(task)
            if spec is None:
                return None
            options = spec.options_over(self._defaults)
            options = with_limits(options, soft_seconds=self._soft_seconds, hard_seconds=self._hard_seconds)
            plan = self._plans[task] = Plan(spec, options)
        return plan
