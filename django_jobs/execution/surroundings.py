"""What goes on around the function of a job that asks for more than to be called.

From the outside to the inside: its log, the context that came with it, the project's middleware, `before_start`, the
limits of time, the function. What its hooks are to hear after its end is kept here until that end is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from django_jobs.core.outcome import Outcome
from django_jobs.core.serializer import from_plain
from django_jobs.exceptions import SoftTimeLimitExceeded
from django_jobs.execution.around import NOTHING, Around
from django_jobs.execution.call import Call
from django_jobs.execution.context import reset_current, set_current
from django_jobs.execution.hooks import Ending
from django_jobs.execution.joblog import keeping_log
from django_jobs.execution.limits import Limits
from django_jobs.execution.plan import Plan


class Surroundings:
    """Calls the functions of such jobs; plain ones are called without it. `limits` None keeps no limits."""

    def __init__(self, limits: Limits | None = None, around: Around = NOTHING) -> None:
        self._limits = limits
        self._around = around
        self.is_empty = not around.middleware
        """Whether there is nothing around a job that asks for nothing."""
        self._endings: dict[str, Ending] = {}

    def run(self, call: Call, plan: Plan, function: Callable[..., Any], place: int) -> Any:
        """Call a plain function; `place` is where the job stands in the table of its process."""
        self._begin(call, plan)
        value = None  # a middleware may swallow what the function raises
        with ExitStack() as stack:
            self._prepare(call, stack)
            for middleware in self._around.middleware:
                stack.enter_context(middleware(call.request))
            if plan.hooks is not None:
                plan.hooks.before(call)
            value = self._limited(call, function, place)
        self._returned(call, value)
        return value

    async def run_async(
        self, call: Call, plan: Plan, function: Callable[..., Coroutine[Any, Any, Any]], place: int
    ) -> Any:
        """Await a coroutine function."""
        self._begin(call, plan)
        value = None
        async with AsyncExitStack() as stack:
            self._prepare(call, stack.enter_context(ExitStack()))
            for middleware in self._around.middleware:
                context = middleware(call.request)
                if hasattr(context, "__aenter__"):
                    await stack.enter_async_context(context)
                else:
                    stack.enter_context(context)
            if plan.hooks is not None:
                await plan.hooks.before_async(call)
            value = await self._limited_async(call, function, place)
        self._returned(call, value)
        return value

    def failed(self, request_id: str, error: BaseException) -> None:
        """Note for the hooks what a run has raised."""
        if (ending := self._endings.get(request_id)) is not None:
            self._endings[request_id] = ending._replace(error=error)

    def forget(self, job_id: str) -> None:
        """Forget a run whose end was not stored: its hooks are not called."""
        self._endings.pop(job_id, None)

    def follow_up(self, plan: Plan, outcome: Outcome) -> None:
        """Call the hooks of a run whose end is stored."""
        ending = self._endings.pop(outcome.id, None)
        if ending is not None and plan.hooks is not None:
            token = set_current(ending.call.request)
            try:
                plan.hooks.after(ending, outcome)
            finally:
                reset_current(token)

    async def follow_up_async(self, plan: Plan, outcome: Outcome) -> None:
        """Do the same on the loop; the task has a context of its own, in which the job is current."""
        ending = self._endings.pop(outcome.id, None)
        if ending is not None and plan.hooks is not None:
            set_current(ending.call.request)
            await plan.hooks.after_async(ending, outcome)

    def _begin(self, call: Call, plan: Plan) -> None:
        if plan.hooks is not None and plan.hooks.has_after:
            self._endings[call.request.id] = Ending(call)

    def _returned(self, call: Call, value: Any) -> None:
        if call.request.id in self._endings:
            self._endings[call.request.id] = Ending(call, value)

    def _prepare(self, call: Call, stack: ExitStack) -> None:
        if call.options.keep_logs:
            stack.enter_context(keeping_log(call.request))
        if call.carried and self._around.carriers is not None:
            self._around.carriers.restore(from_plain(dict(call.carried)), stack)

    def _limited(self, call: Call, function: Callable[..., Any], place: int) -> Any:
        limits, options = self._limits, call.options
        if limits is None or (options.soft_time_limit is None and options.time_limit is None):
            return function(*call.args, **call.kwargs)
        limits.begin(place, soft_seconds=options.soft_time_limit, hard_seconds=options.time_limit)
        try:
            try:
                limits.arm(place, options.soft_time_limit)
                return function(*call.args, **call.kwargs)
            finally:
                limits.disarm()
        finally:
            limits.end(place)

    async def _limited_async(self, call: Call, function: Callable[..., Coroutine[Any, Any, Any]], place: int) -> Any:
        limits, options = self._limits, call.options
        if limits is None or (options.soft_time_limit is None and options.time_limit is None):
            return await function(*call.args, **call.kwargs)
        limits.begin(place, soft_seconds=None, hard_seconds=options.time_limit)
        try:
            if options.soft_time_limit is None:
                return await function(*call.args, **call.kwargs)
            return await _softly(function(*call.args, **call.kwargs), options.soft_time_limit)
        finally:
            limits.end(place)


async def _softly(coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """Cancel the coroutine at its soft limit, as `asyncio.timeout` does: whatever it awaits is cancelled with it."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await coroutine
    except TimeoutError as error:
        if limit.expired() and isinstance(error.__cause__, asyncio.CancelledError):
            text = f"The job has reached its soft limit of {seconds:g} s and was cancelled."
            raise SoftTimeLimitExceeded(text) from error.__cause__
        raise
