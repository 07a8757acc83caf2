"""What a test asks of the jobs of its project: what waits, run it, move the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from inspect import Signature
from typing import Any, Final

from django_jobs.client.result import AsyncResult
from django_jobs.connections import connections
from django_jobs.core.message import decode_body
from django_jobs.core.outcome import JobView
from django_jobs.core.serializer import from_plain, to_plain
from django_jobs.core.states import State
from django_jobs.registry import registry
from django_jobs.testing.drain import run_jobs
from django_jobs.testing.stores import shift_clock

PAGE: Final = 500
SHOWN: Final = 20
WAITING: Final = frozenset({State.SCHEDULED, State.QUEUED, State.RETRYING})


class Jobs:
    """The jobs of one test. `close` moves the clock back."""

    def __init__(self) -> None:
        self._travelled_seconds = 0.0

    def run(self, queues: Collection[str] | None = None, *, max_jobs: int = 1000) -> Counter[str]:
        """Run what is due (see `run_jobs`)."""
        return run_jobs(queues, max_jobs=max_jobs)

    def travel(self, seconds: float | timedelta) -> None:
        """Move the broker's clock: what starts, retries or expires later does so in the next `run`."""
        step = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        shift_clock(step)
        self._travelled_seconds += step

    def waiting(
        self,
        task: Any,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        queue: str | None = None,
        priority: int | None = None,
    ) -> list[AsyncResult[Any]]:
        """Return the jobs of a task (or of its name) that wait, also for a later start, oldest first.

        `args` and `kwargs` are compared as the function gets them: whether by position or by name is the same.
        """
        name = _name(task)
        wanted = None if args is None and kwargs is None else _call(name, args or (), kwargs or {})
        found = [
            view
            for view in _all_waiting()
            if view.task == name
            and queue in {None, view.queue}
            and priority in {None, view.priority}
            and (wanted is None or _call_of(view) == wanted)
        ]
        return [AsyncResult(view.id) for view in sorted(found, key=lambda view: (view.enqueued_us, view.id))]

    def assert_enqueued(self, task: Any, *, times: int | None = None, **wanted: Any) -> list[AsyncResult[Any]]:
        """Fail unless such a job waits (`times`: exactly so many); return those that do. `wanted` as in `waiting`.

        Jobs that have run do not count: ask before `run`.
        """
        found = self.waiting(task, **wanted)
        if times is None and not found:
            raise AssertionError(f"No job of {_told(task, wanted)} waits. {_what_waits()}")
        if times is not None and len(found) != times:
            raise AssertionError(f"{len(found)} jobs of {_told(task, wanted)} wait, not {times}. {_what_waits()}")
        return found

    def assert_not_enqueued(self, task: Any, **wanted: Any) -> None:
        """Fail if such a job waits. `wanted` as in `waiting`."""
        if found := self.waiting(task, **wanted):
            raise AssertionError(f"{len(found)} jobs of {_told(task, wanted)} wait. {_what_waits()}")

    def close(self) -> None:
        """Move the clock back to where it was."""
        if self._travelled_seconds:
            shift_clock(-self._travelled_seconds)
            self._travelled_seconds = 0.0


def _name(task: Any) -> str:
    """Return the name of a task of ours, of Django's, or a name that the registry has."""
    name = task if isinstance(task, str) else getattr(task, "module_path", None) or task.name
    return registry.require(name).name


def _call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a call in a form that is the same however its arguments were given, and went through the serializer."""
    plain_args = from_plain(to_plain(list(args), "args"))
    plain_kwargs = {key: from_plain(to_plain(value, key)) for key, value in kwargs.items()}
    signature: Signature = registry.require(name).signature
    try:
        bound = signature.bind(*plain_args, **plain_kwargs)
    except TypeError as error:
        raise AssertionError(f"No job of {name}{signature} can have these arguments: {error}.") from None
    bound.apply_defaults()
    return tuple(bound.arguments.items())


def _call_of(view: JobView) -> tuple[Any, ...]:
    body = decode_body(view.body)
    args = [from_plain(value) for value in body.args]
    return _call(view.task, args, {key: from_plain(value) for key, value in body.kwargs.items()})


def _all_waiting() -> list[JobView]:
    found: list[JobView] = []
    after = ""
    while page := connections.broker.list(after=after, limit=PAGE):
        found.extend(view for view in page if view.state in WAITING)
        after = page[-1].place
    return found


def _told(task: Any, wanted: Mapping[str, Any]) -> str:
    given = ", ".join(f"{key}={value!r:.200}" for key, value in wanted.items() if value is not None)
    return f"{_name(task)} ({given})" if given else _name(task)


def _what_waits() -> str:
    views = _all_waiting()
    if not views:
        return "No job waits. (A broker outside of the database gets jobs on commit: see captureOnCommitCallbacks.)"
    lines = [f"  {view.task} in {view.queue}: {_shown_call(view)}" for view in views[:SHOWN]]
    more = [f"  and {len(views) - SHOWN} more"] if len(views) > SHOWN else []
    return "\n".join(["What waits:", *lines, *more])


def _shown_call(view: JobView) -> str:
    body = decode_body(view.body)
    shown = [repr(from_plain(value)) for value in body.args]
    shown += [f"{key}={from_plain(value)!r}" for key, value in body.kwargs.items()]
    return f"({', '.join(shown)})"[:200]
