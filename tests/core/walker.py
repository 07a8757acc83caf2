"""What crontab lines mean, said a second time and by brute force: a walk over every minute of real time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def values(text: str, low: int, high: int) -> set[int]:
    """Read numbers, ranges, steps and lists; 7 is not among the numbers here."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        numbers = range(low, high + 1) if first == "*" else range(int(first), int(last or first) + 1)
        found |= set(numbers[:: int(step or 1)])
    return found


class Line:
    """A crontab line of five fields, numbers only, with Debian cron's rule for the days."""

    def __init__(self, text: str) -> None:
        self.texts = text.split()
        self.fields = [values(field, *limits) for field, limits in zip(self.texts, RANGES, strict=True)]

    @property
    def is_fixed(self) -> bool:
        return not self.texts[0].startswith("*") and not self.texts[1].startswith("*")

    def fits(self, wall: datetime) -> bool:
        minutes, hours, days, months, weekdays = self.fields
        day, weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        either = not self.texts[2].startswith("*") and not self.texts[4].startswith("*")
        fits_day = (day or weekday) if either else (day and weekday)
        return wall.minute in minutes and wall.hour in hours and wall.month in months and fits_day


def walk(line: Line, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return the instants of `line` in (start, end]. A fixed time goes by the latest time that clocks have shown.

    So after a jump ahead everything runs that was jumped over, at once and together; and while clocks show again what
    they have shown before, nothing runs.
    """
    found = []
    instant = start
    latest = start.astimezone(zone).replace(tzinfo=None)
    while instant < end:
        instant += MINUTE
        wall = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        if line.is_fixed:
            if any(line.fits(passed) for passed in minutes(latest, wall)):
                found.append(instant)
            latest = max(latest, wall)
        elif line.fits(wall):
            found.append(instant)
    return found


def minutes(after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the minutes in (after, until]."""
    while after < until:
        after += MINUTE
        yield after


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """Return the instants of a year at which the clocks of a zone change, to the hour before."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hours[index] for index in range(len(hours) - 1) if offsets[index] != offsets[index + 1]]
