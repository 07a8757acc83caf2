"""Schedules by the clock: crontab lines and Celery's keyword form. croniter only lists the times of day and dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Literal, overload

from django_jobs.core.cronfield import KINDS, Field, field_text, read_field
from django_jobs.core.schedule import Schedule, zone_named
from django_jobs.core.walltime import next_each, next_once
from django_jobs.exceptions import InvalidSchedule

DayRule = Literal["or", "and"]
DAY_RULES: Final = ("or", "and")
MAX_LENGTH: Final = 500
"""Characters of a line; a longer one is refused."""
NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ANY_YEAR: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Crontab(Schedule):
    """A crontab line of five fields, or six that begin with seconds.

    `day_rule` says which days are meant where both the day of the month and the day of the week are restricted: those
    that fit one of them ("or", Debian cron's rule), or both ("and", Celery's).
    """

    line: str
    day_rule: DayRule = "or"
    fields: tuple[Field, ...] = field(init=False, repr=False, compare=False)
    """Six: second, minute, hour, day of month, month, day of week."""

    def __post_init__(self) -> None:
        texts = _split(self.line)
        if self.day_rule not in DAY_RULES:
            raise InvalidSchedule(f'day_rule={self.day_rule!r:.40}: it is "or" or "and".')
        try:
            seconds = () if len(texts) == len(KINDS) else (read_field(KINDS[0], "0"),)
            parsed = (*seconds, *map(read_field, KINDS[len(seconds) :], texts))
        except InvalidSchedule as error:
            raise InvalidSchedule(f"The crontab {self.line!r:.200} cannot be read: {error}") from None
        object.__setattr__(self, "line", " ".join(item.text for item in parsed[len(seconds) :]))
        object.__setattr__(self, "fields", parsed)
        if not self._surely_runs() and self._next_wall(_ANY_YEAR) is None:
            raise InvalidSchedule(
                f"The crontab {self.line!r} would never run: no month has day {parsed[3].text} "
                f"(month {parsed[4].text}, day of week {parsed[5].text})."
            )

    def __str__(self) -> str:
        both = self.day_rule == "and" and not any(item.is_starred for item in (self.fields[3], self.fields[5]))
        return f"{self.line} (both day fields)" if both else self.line

    @property
    def has_seconds(self) -> bool:
        """Whether the line has six fields."""
        return len(self.line.split()) == len(KINDS)

    @property
    def is_fixed(self) -> bool:
        """Whether it names fixed times of the day: neither seconds, minutes nor hours begin with `*`.

        Debian cron's distinction: a fixed time that clocks skip or repeat runs once; all others go on by real time.
        """
        return not any(item.is_starred for item in self.fields[:3])

    def next_after(self, instant: datetime, tz: tzinfo | str | None = None) -> datetime | None:
        if instant.tzinfo is None:
            raise ValueError(f"{instant!r} is naive: which instant it means is open.")
        zone = instant.tzinfo if tz is None else zone_named(tz) if isinstance(tz, str) else tz
        find = next_once if self.is_fixed else next_each
        try:
            return find(instant.astimezone(UTC), zone, self._next_wall)
        except OverflowError:  # past the year 9999
            return None

    def _surely_runs(self) -> bool:
        """Say whether a look at the fields is enough to know that it runs; else the calendar must be asked."""
        day, weekday = self.fields[3], self.fields[5]
        return day.is_full or (bool(weekday.values) and (day.last_day or min(day.values) <= 28))

    def _next_wall(self, wall: datetime) -> datetime | None:
        """Return the first time later than `wall` (both naive, whole seconds), whatever clocks do."""
        from croniter import CroniterBadDateError, croniter  # 50 ms, and most processes never ask

        start = wall.replace(tzinfo=UTC)
        found: list[datetime] = []
        for line in self._alternatives():
            try:
                times = croniter(line, start, ret_type=datetime, day_or=False, second_at_beginning=True)
                found.append(times.get_next(datetime).replace(tzinfo=None))
            except CroniterBadDateError:  # nothing within 50 years
                continue
            except (ValueError, OverflowError):  # the year 10000
                continue
        return min(found, default=None)

    def _alternatives(self) -> Iterator[str]:
        """Yield lines for croniter, all of whose fields must match; a time that fits one of the lines fits this one.

        Apart, because croniter 7 cannot mix 1 with 5#3, finds nothing for the 13th or L5, and reads */10 of the days
        as a restriction that cron does not count.
        """
        second, minute, hour, day, month, weekday = self.fields
        front = f"{_numbers(second)} {_numbers(minute)} {_numbers(hour)}"
        days, weekdays = _days(day), list(_weekdays(weekday))
        if self.day_rule == "and" or day.is_starred or weekday.is_starred:
            pairs = [(days, item) for item in weekdays]
        else:
            pairs = [(days, "*"), *(("*", item) for item in weekdays)]
        for one, other in pairs:
            yield f"{front} {one} {_numbers(month)} {other}"


@overload
def crontab(line: str, /, *, with_seconds: bool = False, day_rule: DayRule = "or") -> Crontab: ...
@overload
def crontab(
    minute: Any = "*",
    hour: Any = "*",
    day_of_week: Any = "*",
    day_of_month: Any = "*",
    month_of_year: Any = "*",
    *,
    second: Any = None,
    day_rule: DayRule = "and",
) -> Crontab: ...


def crontab(
    minute: Any = "*",
    hour: Any = "*",
    day_of_week: Any = "*",
    day_of_month: Any = "*",
    month_of_year: Any = "*",
    *,
    second: Any = None,
    with_seconds: bool = False,
    day_rule: DayRule | None = None,
) -> Crontab:
    """Return a schedule by the clock: `crontab("30 7 * * 1")`, or in Celery's form `crontab(hour=7, minute=30)`.

    A line is cron's: minute, hour, day of month, month, day of week; with `with_seconds` six fields, seconds first. It
    follows Debian's cron: where both day fields are restricted, either will do. In the keyword form both must fit, as
    in Celery, and each field is an int, a string or a list of these.

    Raises:
        InvalidSchedule: naming the field and the value, or saying that it would never run.
    """
    if isinstance(minute, str) and (len(minute.split()) > 1 or minute.lstrip().startswith("@")):
        if any(item != "*" for item in (hour, day_of_week, day_of_month, month_of_year)) or second is not None:
            raise InvalidSchedule(
                f"crontab({minute!r:.200}) is a whole line, and fields are given beside it. Give one."
            )
        made = Crontab(minute, day_rule or "or")
        if made.has_seconds and not with_seconds:
            raise InvalidSchedule(
                f"The crontab {minute!r:.200} has six fields. Where the first one is meant as seconds, say "
                "with_seconds=True; else leave one out."
            )
        if with_seconds and not made.has_seconds:
            raise InvalidSchedule(f"The crontab {minute!r:.200} has five fields; with_seconds=True asks for six.")
        return made
    given = {
        "minute": minute, "hour": hour, "day_of_month": day_of_month,
        "month_of_year": month_of_year, "day_of_week": day_of_week,
    }  # fmt: skip
    texts = {name: field_text(name, value) for name, value in given.items()}
    if second is not None:
        texts = {"second": field_text("second", second)} | texts
    for name, text in texts.items():
        if text.split() != [text]:
            raise InvalidSchedule(f"{name}={text!r:.60} is {'empty' if not text else 'no field: it has a space'}.")
    return Crontab(" ".join(texts.values()), day_rule or "and")


def _split(line: Any) -> list[str]:
    if not isinstance(line, str):
        raise InvalidSchedule(f"A crontab is a line of text, not {line!r:.100}.")
    if len(line) > MAX_LENGTH:
        raise InvalidSchedule(f"The crontab {line[:60]!r}... has {len(line)} characters; {MAX_LENGTH} are the most.")
    if not line.isascii():
        raise InvalidSchedule(f"The crontab {line!r} has characters that are not ASCII.")
    name = line.strip().lower()
    texts = NAMED.get(name, line).split()
    if name.startswith("@") and name not in NAMED:
        raise InvalidSchedule(f"The crontab {line!r} is no name that is known; these are: {', '.join(NAMED)}.")
    if len(texts) not in {len(KINDS) - 1, len(KINDS)}:
        raise InvalidSchedule(
            f"The crontab {line!r} has {len(texts)} fields, not five: minute, hour, day of month, month, day of week."
        )
    return texts


def _numbers(item: Field) -> str:
    return "*" if item.is_full else ",".join(map(str, sorted(item.values)))


def _days(item: Field) -> str:
    if item.is_full:
        return "*"
    return ",".join([*map(str, sorted(item.values)), *(["L"] if item.last_day else [])])


def _weekdays(item: Field) -> Iterator[str]:
    if item.is_full:
        yield "*"
        return
    if item.values:
        yield _numbers(item)
    if item.nth_days:
        yield ",".join(f"L{day}" if nth == -1 else f"{day}#{nth}" for day, nth in sorted(item.nth_days))
