"""One field of a crontab line: read strictly, into the values that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django_jobs.exceptions import InvalidSchedule

DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field may hold."""

    name: str
    low: int
    high: int
    names: Sequence[str] = ()
    first_name: int = 0
    """The value of the first name."""


SECOND: Final = Kind("second", 0, 59)
MINUTE: Final = Kind("minute", 0, 59)
HOUR: Final = Kind("hour", 0, 23)
DAY_OF_MONTH: Final = Kind("day of month", 1, 31)
MONTH: Final = Kind("month", 1, 12, MONTHS, 1)
DAY_OF_WEEK: Final = Kind("day of week", 0, 7, DAYS)
KINDS: Final = (SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)

_PART = re.compile(r"(?P<first>\*|[a-z0-9]+)(?:-(?P<last>[a-z0-9]+))?(?:/(?P<step>[0-9]+))?")
_NTH = re.compile(r"(?P<day>[a-z0-9]+)#(?P<nth>[0-9]+)")
_LAST = re.compile(r"l(?P<before>[0-7])|(?P<after>[a-z0-9]+?)l")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The values of a field; 7 of the day of week has become 0."""

    text: str
    values: frozenset[int]
    is_starred: bool
    """Whether the text begins with `*`: Debian cron asks for that, not for what the field comes to."""
    is_full: bool
    """Whether every value of the kind is there."""
    last_day: bool = False
    """`L` among the days of the month."""
    nth_days: frozenset[tuple[int, int]] = frozenset()
    """(day of week, which one in the month); -1 is the last one."""


def read_field(kind: Kind, text: str) -> Field:
    """Return a field.

    Raises:
        InvalidSchedule: saying which part is wrong, and why.
    """
    if not text:
        raise _wrong(kind, text, "it is empty; * stands for every value.")
    values: set[int] = set()
    nth_days: set[tuple[int, int]] = set()
    last_day = False
    for part in text.lower().split(","):
        if kind is DAY_OF_MONTH and part == "l":
            last_day = True
        elif kind is DAY_OF_WEEK and (found := _nth_day(kind, part)):
            nth_days.add(found)
        else:
            values.update(_values(kind, part))
    if kind is DAY_OF_WEEK:
        values = {value % 7 for value in values}
    size = 7 if kind is DAY_OF_WEEK else kind.high - kind.low + 1
    return Field(
        text=text.lower(),
        values=frozenset(values),
        is_starred=text.startswith("*"),
        is_full=len(values) == size,
        last_day=last_day,
        nth_days=frozenset(nth_days),
    )


def field_text(name: str, value: Any) -> str:
    """Return the text of a field that was given by keyword: an int, a string, or an iterable of these.

    Raises:
        InvalidSchedule: it is something else, or empty.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise InvalidSchedule(
            f"{name}={value!r:.100} is no field of a crontab: give an int, a string, or a list of them."
        )
    items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    if all(isinstance(item, int) for item in items):
        items = sorted(items)
    if nested := [item for item in items if isinstance(item, bool) or not isinstance(item, int | str)]:
        raise InvalidSchedule(f"{name} holds {nested[0]!r:.100}; each item is an int or a string.")
    return ",".join(map(str, items))


def _values(kind: Kind, part: str) -> list[int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise _wrong(kind, part, _advice(part))
    first, last, step = found["first"], found["last"], found["step"]
    if first == "*":
        if last is not None:
            raise _wrong(kind, part, "a range goes from value to value.")
        low, high = kind.low, 6 if kind is DAY_OF_WEEK else kind.high
    else:
        low = _value(kind, part, first)
        high = low if last is None else _value(kind, part, last)
        if step is not None and last is None:
            raise _wrong(kind, part, f"a step needs a range: {first}-{kind.high}/{step} or */{step}.")
    return _stepped(kind, part, low, high, step)


def _stepped(kind: Kind, part: str, low: int, high: int, step: str | None) -> list[int]:
    """Return the values from low to high; a range may go over the end, as 22-2 of the hours does."""
    size = 7 if kind is DAY_OF_WEEK else kind.high - kind.low + 1
    if kind is DAY_OF_WEEK and low == 7 and high != 7:
        low = 0
    whole = list(range(low, high + 1 if low <= high else high + size + 1))
    width = 1 if step is None else int(step[:9])
    if not 1 <= width <= size:
        raise _wrong(kind, part, f"a step is 1 to {size} here.")
    return [(value - kind.low) % size + kind.low if value > kind.high else value for value in whole[::width]]


def _value(kind: Kind, part: str, text: str) -> int:
    if text.isdecimal():
        number = int(text[:9])
        if not kind.low <= number <= kind.high:
            raise _wrong(kind, part, f"{text[:20]} is out of range: {kind.low} to {kind.high}.")
        return number
    for index, name in enumerate(kind.names):
        if text in {name, name[:3]}:
            return index + kind.first_name
    if kind.names:
        raise _wrong(
            kind,
            part,
            f"{text[:20]!r} is no name: {kind.names[0][:3]} to {kind.names[-1][:3]}, or {kind.low} to {kind.high}.",
        )
    raise _wrong(kind, part, _advice(text))


def _nth_day(kind: Kind, part: str) -> tuple[int, int] | None:
    if found := _NTH.fullmatch(part):
        nth = int(found["nth"][:9])
        if not 1 <= nth <= 5:
            raise _wrong(kind, part, "a month has a first to a fifth of each day: #1 to #5.")
        return _value(kind, part, found["day"]) % 7, nth
    if found := _LAST.fullmatch(part):
        return _value(kind, part, found["before"] or found["after"]) % 7, -1
    return None


def _advice(part: str) -> str:
    if "?" in part:
        return "? is Quartz's; write *."
    if "w" in part and part.rstrip("w").isdecimal():
        return "W (the nearest working day) is not known here."
    if not part:
        return "an item of a list is empty."
    return "it is made of *, numbers, ranges as 1-5, steps as */2 and lists of these, without spaces."


def _wrong(kind: Kind, part: str, why: str) -> InvalidSchedule:
    return InvalidSchedule(f"the {kind.name} is {part[:60]!r}: {why}")
