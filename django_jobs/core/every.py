"""Intervals: ticks at whole multiples of a duration since 1970, so that restarts do not shift them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from django_jobs.core.schedule import MICROSECOND, Schedule, from_us, to_us
from django_jobs.exceptions import InvalidSchedule

SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Every(Schedule):
    """An interval. Time zones do not matter to it: a tick is a multiple of the interval since 1970-01-01 00:00 UTC."""

    interval: timedelta

    def __post_init__(self) -> None:
        if not SHORTEST <= self.interval <= LONGEST:
            raise InvalidSchedule(
                f"An interval is 1 second at least and {LONGEST.days} days at most, and {self.seconds:.6g} s is not."
            )

    @property
    def seconds(self) -> float:
        """The interval in seconds."""
        return self.interval.total_seconds()

    def __str__(self) -> str:
        return f"every {self.seconds:.15g} s"

    def next_after(self, instant: datetime, tz: tzinfo | str | None = None) -> datetime | None:
        if instant.tzinfo is None:
            raise ValueError(f"{instant!r} is naive: which instant it means is open.")
        step_us = self.interval // MICROSECOND
        try:
            return from_us((to_us(instant) // step_us + 1) * step_us)
        except OverflowError:
            return None


def every(*, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0, weeks: float = 0) -> Every:
    """Return the schedule that ticks at each multiple of this duration since 1970-01-01 00:00 UTC.

    So `every(hours=1)` ticks at full hours of UTC, `every(days=1)` at its midnights, `every(weeks=1)` on Thursdays.

    Raises:
        InvalidSchedule: less than a second, or no number.
    """
    given = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days, "weeks": weeks}
    try:
        interval = timedelta(**given)
    except (TypeError, ValueError, OverflowError) as error:
        told = ", ".join(f"{name}={value!r:.40}" for name, value in given.items() if value != 0)
        raise InvalidSchedule(f"every({told}) is no interval: {error}.") from None
    return Every(interval)


def every_seconds(value: Any) -> Every:
    """Return the schedule of an interval given as seconds or as a timedelta.

    Raises:
        InvalidSchedule: it is neither, or shorter than a second.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise InvalidSchedule(f"{value!r:.100} is no interval: it is a number of seconds or a timedelta.")
    return Every(value) if isinstance(value, timedelta) else every(seconds=value)
