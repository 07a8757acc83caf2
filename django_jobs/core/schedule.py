"""What every schedule can say: its next tick; and the rules that do not depend on its kind."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django_jobs.exceptions import InvalidSchedule

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
ON_TIME_SECONDS: Final = 10.0
"""A tick at most so late fires by itself; all older ones of a schedule fire once together."""
TICKS: Final = uuid.UUID("5a3f5c9e-6d0b-5c43-9a55-0d7f3b1c2e84")
"""The name space of the ids of ticks. It never changes: an id says which tick a job is, whoever computes it."""


class Schedule(ABC):
    """Names instants, called ticks. Immutable; equal schedules name the same instants."""

    @abstractmethod
    def next_after(self, instant: datetime, tz: tzinfo | str | None = None) -> datetime | None:
        """Return the first tick later than `instant` (aware), in UTC; None where there is none before the year 10000.

        `tz` is the time zone whose clocks the schedule reads, as a tzinfo or a name; None takes that of `instant`.

        Raises:
            ValueError: `instant` is naive.
            InvalidSchedule: no time zone has the name `tz`.
        """


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        InvalidSchedule: there is none of this name.
    """
    try:
        return _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise InvalidSchedule(
            f"There is no time zone {name!r:.100}. Write it as in Europe/Berlin or UTC; "
            "zoneinfo.available_timezones() lists all."
        ) from error


_zone = lru_cache(maxsize=256)(ZoneInfo)


def to_us(instant: datetime) -> int:
    """Return an aware instant in microseconds since 1970, exactly."""
    return (instant - EPOCH) // MICROSECOND


def from_us(instant_us: int) -> datetime:
    """Return microseconds since 1970 as an instant in UTC."""
    return EPOCH + timedelta(microseconds=instant_us)


def tick_after(schedule: Schedule, tick: datetime, now: datetime, tz: tzinfo) -> datetime | None:
    """Return the tick that follows once `tick` fires at `now`.

    Up to 10 s late it is the very next one, so that each fires. Later, those that are more than 10 s old are skipped:
    `tick` stands for all of them.
    """
    on_time = now - timedelta(seconds=ON_TIME_SECONDS)
    return schedule.next_after(tick if tick >= on_time else on_time - MICROSECOND, tz)


def tick_id(schedule: str, tick_us: int) -> str:
    """Return the id of the job of one tick: a UUIDv5 of the schedule's name and the instant."""
    return str(uuid.uuid5(TICKS, f"{tick_us}:{schedule}"))
