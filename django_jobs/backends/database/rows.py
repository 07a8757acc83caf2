"""The columns of the broker's tables, and how values become rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from django_jobs.core.message import PRIORITY_MAX, Message
from django_jobs.core.outcome import StoredResult
from django_jobs.core.pause import Target
from django_jobs.core.states import State

JOB: Final = "django_jobs_job"
READY: Final = "django_jobs_ready"
DUE: Final = "django_jobs_due"
CLAIMED: Final = "django_jobs_claimed"
SESSION: Final = "django_jobs_session"
MARK: Final = "django_jobs_mark"
RESULT: Final = "django_jobs_jobresult"
LOCK: Final = "django_jobs_maintenancelock"
OUTBOX: Final = "django_jobs_outboxmessage"
UNIQUE: Final = "django_jobs_uniquekey"
LIMIT: Final = "django_jobs_limit"
SLOT: Final = "django_jobs_slot"
PAUSE: Final = "django_jobs_pause"
TURN: Final = "django_jobs_turn"

MARK_GIVEN_SECONDS: Final = 86_400
"""How long the id of an ended job that left no result stays taken, where the id was given or computed.

Ids that we made need no mark here: their producer never sends one twice, and a live one is refused by the primary key.
"""

SOON_US: Final = 1_000
"""A job due within a millisecond is ready now; it is also the most messages that one statement takes in,
so that the places of one call stay apart and in order."""

SUSPECTS: Final = "!"
PARKED: Final = "?"
GATE: Final = "~"
"""Lines of what waits for a limit; it sorts behind every queue's name."""
ASIDE: Final = "}"
"""Lines of what was put aside since it is paused; behind every queue's name, before the limits."""
TURNS: Final = "~ "
"""Lines by queue of what has become due and has still to be given its turn; no limit's key begins with a blank."""
TIMER_RANK: Final = -1
"""Of a row in Due that is no job."""

JOB_COLUMNS: Final = (
    "id", "task", "queue", "priority", "body", "body_bytes", "id_given", "enqueued_us", "at_us", "expires_us",
    "failures", "crashes", "suspect", "parked", "cancel_requested", "started_us", "attempts",
    "unique_key", "gate", "fair_key", "place_us",
)  # fmt: skip
READY_COLUMNS: Final = ("line", "rank_no", "at_us", "job_id", "attempt", "body_bytes")
DUE_COLUMNS: Final = ("at_us", "job_id", "line", "rank_no", "attempt", "body_bytes")
RESULT_COLUMNS: Final = (
    "id", "task", "queue", "priority", "status", "body", "id_given", "result", "error_class", "error_message",
    "traceback", "attempts", "attempt", "failures", "crashes", "enqueued_at", "started_at", "finished_at", "worker",
)  # fmt: skip


class JobRow(NamedTuple):
    """A row of django_jobs_job, in the order of JOB_COLUMNS."""

    id: str
    task: str
    queue: str
    priority: int
    body: str
    body_bytes: int
    id_given: bool
    enqueued_us: int
    at_us: int
    expires_us: int | None
    failures: int
    crashes: int
    suspect: bool
    parked: bool
    cancel_requested: bool
    started_us: int | None
    attempts: str
    unique_key: str | None = None
    gate: str | None = None
    fair_key: str | None = None
    place_us: int | None = None

    @property
    def place(self) -> int:
        """Where in its line it stands."""
        return self.at_us if self.place_us is None else self.place_us

    @property
    def line(self) -> str:
        """Where it is claimed."""
        return SUSPECTS + self.queue if self.suspect else self.queue

    @property
    def waiting_line(self) -> str:
        """Where its row in Ready or Due stands, unless its limit has let it through."""
        if self.parked:
            return PARKED + self.task
        return self.line if self.gate is None else self.gate

    def ready(self, attempt: int) -> tuple[Any, ...]:
        """Return its row in Ready."""
        return (self.waiting_line, rank(self.priority), self.place, self.id, attempt, self.body_bytes)

    def let_in(self, attempt: int) -> tuple[Any, ...]:
        """Return its row in Ready once its limit has let it through."""
        return (self.line, rank(self.priority), self.place, self.id, attempt, self.body_bytes)

    def before_its_turn(self, attempt: int) -> tuple[Any, ...]:
        """Return its row in Ready between the moment that it is due and its turn."""
        return (TURNS + self.queue, rank(self.priority), self.at_us, self.id, attempt, self.body_bytes)

    def aside(self) -> tuple[tuple[Any, ...], ...]:
        """Return the keys in Ready that it may have while it is paused."""
        key = (rank(self.priority), self.place, self.id)
        return tuple((aside_line(target), *key) for target in (Target("task", self.task), Target("queue", self.queue)))

    def due(self, attempt: int) -> tuple[Any, ...]:
        """Return its row in Due."""
        line = self.waiting_line if self.fair_key is None else TURNS + self.queue
        return (self.at_us, self.id, line, rank(self.priority), attempt, self.body_bytes)


def aside_line(target: Target) -> str:
    """Return the line in which jobs wait that the pause of a queue or task has put aside."""
    return f"{ASIDE}{target.kind[0]} {target.name}"


def rank(priority: int) -> int:
    """Turn a priority (higher first) into a number that sorts ascending."""
    return PRIORITY_MAX - priority


def new_job(message: Message, *, now_us: int, order: int) -> tuple[JobRow, bool]:
    """Return the row of a new job, and whether it is due later. `order` keeps the places of one call apart."""
    due_us = message.eta_us if message.delay_us is None else now_us + message.delay_us
    later = due_us is not None and due_us > now_us + SOON_US
    expires_us = message.expires_us if message.expires_after_us is None else now_us + message.expires_after_us
    row = JobRow(
        id=message.id, task=message.task, queue=message.queue, priority=message.priority, body=message.body,
        body_bytes=len(message.body.encode()), id_given=message.id_given, enqueued_us=now_us,
        at_us=due_us if later and due_us is not None else now_us + order, expires_us=expires_us,
        failures=0, crashes=0, suspect=False, parked=False, cancel_requested=False, started_us=None, attempts="",
        unique_key=message.bounds.unique.key if message.bounds and message.bounds.unique else None,
        gate=GATE + message.bounds.limit.key if message.bounds and message.bounds.limit else None,
        fair_key=message.bounds.fair if message.bounds else None,
    )  # fmt: skip
    return row, later


def placeholders(rows: int, columns: int) -> str:
    """Return `(%s, ...), (...)` for a VALUES list."""
    one = "(" + ", ".join(["%s"] * columns) + ")"
    return ", ".join([one] * rows)


def in_list(count: int) -> str:
    """Return `(%s, ...)` for an IN of `count` values."""
    return "(" + ", ".join(["%s"] * count) + ")"


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Cut `items` into runs of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


class Stamps:
    """Turns microseconds into what a DateTimeField of this database holds, and back."""

    def __init__(self, vendor: str, *, use_tz: bool, time_zone: str) -> None:
        self.vendor = vendor
        self.zone = UTC if use_tz or vendor == "postgresql" else ZoneInfo(time_zone)
        self._second = lru_cache(maxsize=4)(self._format_second)

    def _format_second(self, second: int) -> str:
        return datetime.fromtimestamp(second, self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def to_column(self, instant_us: int | None) -> Any:
        """Return the value to bind (text on MySQL and SQLite)."""
        if instant_us is None:
            return None
        if self.vendor == "postgresql":
            return from_us(instant_us)
        second, micros = divmod(instant_us, 1_000_000)
        return f"{self._second(second)}.{micros:06d}"

    def to_us(self, value: Any) -> int | None:
        """Return microseconds since 1970 of what was read."""
        if value is None:
            return None
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self.zone)
        return (instant - _EPOCH) // _MICROSECOND


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def from_us(instant_us: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=instant_us)


def result_row(stored: StoredResult, stamps: Stamps, *, now_us: int) -> tuple[Any, ...]:
    """Return a row in the order of RESULT_COLUMNS."""
    return (
        stored.id, stored.task, stored.queue, stored.priority, stored.status.value, stored.body, stored.id_given,
        stored.result, stored.error_class[:255], stored.error_message, stored.traceback, stored.attempts,
        stored.attempt, stored.failures, stored.crashes, stamps.to_column(stored.enqueued_us),
        stamps.to_column(stored.started_us), stamps.to_column(stored.finished_us or now_us), stored.worker[:255],
    )  # fmt: skip


def stored_result(row: Sequence[Any], stamps: Stamps) -> StoredResult:
    """Return what a row in the order of RESULT_COLUMNS says."""
    values: dict[str, Any] = dict(zip(RESULT_COLUMNS, row, strict=True))
    values["status"] = State(values["status"])
    values["id_given"] = bool(values["id_given"])
    values["enqueued_us"] = stamps.to_us(values.pop("enqueued_at")) or 0
    values["started_us"] = stamps.to_us(values.pop("started_at"))
    values["finished_us"] = stamps.to_us(values.pop("finished_at"))
    return StoredResult(**values)
