"""Stopping a queue or a task from being claimed for a while, and letting it go on."""

from __future__ import annotations

from typing import Any, TypeGuard

from django_jobs.client.task import Task
from django_jobs.connections import connections
from django_jobs.core.message import QUEUE_PATTERN, TASK_NAME_MAX_LENGTH
from django_jobs.core.pause import BY_MAX_LENGTH, REASON_MAX_LENGTH, Pause, Target
from django_jobs.core.serializer import clean_text


def pause_queue(name: str, /, *, reason: str = "", by: str = "") -> bool:
    """Pause a queue: from now on no worker claims a job of it. Say whether it went on before.

    Jobs that are claimed go on; all others wait, and new ones are taken in. It lasts until `resume_queue`.

    Raises:
        ValueError: `name` cannot be a queue's, or `reason` or `by` is too long. A queue need not hold a job.
        BrokerUnavailable: the broker cannot be reached; whether it was done is unknown.
    """
    return pause(Target("queue", name), reason=reason, by=by)


def resume_queue(name: str, /) -> bool:
    """Let a queue go on, its jobs in their order; say whether it was paused.

    Raises:
        ValueError: `name` cannot be a queue's.
        BrokerUnavailable: the broker cannot be reached; whether it was done is unknown.
    """
    return resume(Target("queue", name))


def pause_task(task: Task[..., Any] | str, /, *, reason: str = "", by: str = "") -> bool:
    """Pause a task, given as such or by its name, in whatever queue its jobs are; as `pause_queue`."""
    return pause(Target("task", _name_of(task)), reason=reason, by=by)


def resume_task(task: Task[..., Any] | str, /) -> bool:
    """Let a task go on; as `resume_queue`."""
    return resume(Target("task", _name_of(task)))


def paused() -> list[Pause]:
    """Return what is paused, queues first: each with its kind, name, since when, by whom and why."""
    return list(connections.broker.paused())


def pause(target: Target, *, reason: str = "", by: str = "") -> bool:
    """Pause a queue or a task."""
    _check(target)
    said = _said("reason", reason, REASON_MAX_LENGTH), _said("by", by, BY_MAX_LENGTH)
    return connections.broker.pause(**{target.kind: target.name}, reason=said[0], by=said[1])


def resume(target: Target) -> bool:
    """Let a queue or a task go on."""
    _check(target)
    return connections.broker.resume(**{target.kind: target.name})


def _name_of(task: Task[..., Any] | str) -> str:
    return task.name if isinstance(task, Task) else task


def _check(target: Target) -> None:
    if target.kind == "queue" and not is_queue_name(target.name):
        raise ValueError(
            f"{target.name!r:.300} is no name of a queue: 1 to 128 letters, digits, and _ . : - only. "
            "Nothing was changed."
        )
    if target.kind == "task" and not is_task_name(target.name):
        raise ValueError(
            f"{target.name!r:.300} is no name of a task: 1 to {TASK_NAME_MAX_LENGTH} printable characters without "
            "spaces. Nothing was changed."
        )


def is_queue_name(name: object) -> TypeGuard[str]:
    """Say whether a queue may have this name."""
    return isinstance(name, str) and QUEUE_PATTERN.match(name) is not None


def is_task_name(name: object) -> TypeGuard[str]:
    """Say whether a task may have this name."""
    return isinstance(name, str) and 1 <= len(name) <= TASK_NAME_MAX_LENGTH and name.isprintable() and " " not in name


def _said(what: str, text: str, most: int) -> str:
    said = clean_text(" ".join(text.split()))
    if len(said) > most:
        raise ValueError(f"{what} has {len(said)} characters; at most {most} are kept. Nothing was changed.")
    return said
