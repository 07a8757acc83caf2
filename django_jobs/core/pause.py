"""What is paused: a queue or a task of which no job is claimed, since when, by whom and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

BY_MAX_LENGTH: Final = 150
REASON_MAX_LENGTH: Final = 500


class Target(NamedTuple):
    """A queue or a task by its name."""

    kind: str
    """`queue` or `task`."""
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    def of(cls, queue: str | None, task: str | None) -> Target:
        """Return the one that is given.

        Raises:
            ValueError: none or both are given.
        """
        if (queue is None) == (task is None):
            raise ValueError(f"Give a queue or a task, and not both: queue={queue!r}, task={task!r}.")
        return cls("task", task) if task is not None else cls("queue", queue or "")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return what `str` has made a text of."""
        kind, _, name = text.partition(" ")
        return cls(kind, name)


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """One queue or task that is paused. `since_us` is the broker's clock, microseconds since 1970."""

    kind: str
    """`queue` or `task`."""
    name: str
    since_us: int
    by: str = ""
    """Who paused it, as they said; empty for unknown."""
    reason: str = ""

    @property
    def target(self) -> Target:
        return Target(self.kind, self.name)

    @property
    def since_at(self) -> datetime:
        """Since when, aware, in UTC."""
        return datetime.fromtimestamp(self.since_us / 1_000_000, UTC)

    def __str__(self) -> str:
        """Say it in one line: `queue mail is paused since 2026-11-21 13:00:05 UTC, by ann: the server is down`."""
        by = f", by {self.by}" if self.by else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.target} is paused since {self.since_at:%Y-%m-%d %H:%M:%S} UTC{by}{reason}"


class Pauses:
    """Everything that is paused at one moment, to be asked about single jobs."""

    __slots__ = ("queues", "tasks")

    def __init__(self, pauses: Iterable[Pause] = ()) -> None:
        every = list(pauses)
        self.queues = {pause.name: pause for pause in every if pause.kind == "queue"}
        self.tasks = {pause.name: pause for pause in every if pause.kind == "task"}

    def __bool__(self) -> bool:
        return bool(self.queues or self.tasks)

    def on(self, *, queue: str, task: str) -> Pause | None:
        """Return what keeps a job of this queue and task from being claimed, or None."""
        return self.queues.get(queue) or self.tasks.get(task)


NOTHING_PAUSED: Final = Pauses()
