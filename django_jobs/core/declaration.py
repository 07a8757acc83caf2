"""A schedule as code, settings or a person declare it: which task, when, with which arguments and options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from django_jobs.core.crontab import Crontab, crontab
from django_jobs.core.every import every_seconds
from django_jobs.core.message import TASK_NAME_MAX_LENGTH
from django_jobs.core.options import check_priority, check_queue, check_seconds
from django_jobs.core.schedule import Schedule, zone_named
from django_jobs.exceptions import InvalidSchedule

NAME_MAX_LENGTH: Final = 255
KEYS: Final = ("task", "schedule", "args", "kwargs", "time_zone", "queue", "priority", "expires", "options")
OPTION_KEYS: Final = ("queue", "priority", "expires")
"""What Celery's `options` may hold here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One schedule. Empty texts and None take the project's and the task's own."""

    name: str
    task: str
    schedule: Schedule
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    time_zone: str = ""
    """Whose clocks the schedule reads; empty takes TIME_ZONE."""
    queue: str = ""
    priority: int | None = None
    expires_seconds: float | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of `apply_async` for the job of a tick."""
        given = {"queue": self.queue or None, "priority": self.priority, "expires": self.expires_seconds}
        return {name: value for name, value in given.items() if value is not None}


def digest_of(schedule: Schedule, time_zone: str) -> str:
    """Return what stands for a rule in a time zone: while it is the same, so are the ticks."""
    text = str(schedule)
    if isinstance(schedule, Crontab):
        text = f"{schedule.line}|{schedule.day_rule}|{time_zone}"
    return hashlib.sha256(text.encode()).hexdigest()


def read_declaration(name: Any, given: Any) -> Declaration:
    """Return one entry of SCHEDULES, which has the shape of Celery's beat_schedule.

    Raises:
        InvalidSchedule: saying which key is wrong, and why.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX_LENGTH or not name.isprintable():
        raise InvalidSchedule(f"A schedule's name is 1 to {NAME_MAX_LENGTH} printable characters, not {name!r:.300}.")
    if not isinstance(given, Mapping):
        raise InvalidSchedule(
            f'it is a dict as {{"task": "shop.jobs.clean", "schedule": crontab(hour=7)}}, not {given!r:.100}.'
        )
    for key in given:
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"The keys are: {', '.join(KEYS)}."
            raise InvalidSchedule(f"{key!r:.60} is no key of a schedule. {hint}")
    if missing := [key for key in ("task", "schedule") if key not in given]:
        raise InvalidSchedule(f"{missing[0]!r} is missing.")
    values = {key: _checked(key, value) for key, value in _flat(given).items()}
    return Declaration(name=name, **{_FIELDS.get(key, key): value for key, value in values.items()})


def read_schedule(value: Any) -> Schedule:
    """Return a schedule given as one, as a crontab line, or as an interval in seconds or a timedelta.

    Raises:
        InvalidSchedule: it cannot be.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        if len(value.split()) < 2 and not value.lstrip().startswith("@"):
            raise InvalidSchedule(f"{value!r:.100} is no crontab line, as '30 7 * * 1' is.")
        return crontab(value)
    if isinstance(value, int | float | timedelta):
        return every_seconds(value)
    raise InvalidSchedule(f"{value!r:.100} is no schedule: give crontab(...), every(...), a crontab line or seconds.")


def _flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry with Celery's `options` beside the other keys."""
    flat = {key: value for key, value in given.items() if key != "options"}
    options = given.get("options") or {}
    if not isinstance(options, Mapping):
        raise InvalidSchedule(f"options is a dict, not {options!r:.100}.")
    for key, value in options.items():
        if key not in OPTION_KEYS:
            raise InvalidSchedule(f"options has {key!r:.60}; it may have: {', '.join(OPTION_KEYS)}.")
        if key in flat:
            raise InvalidSchedule(f"{key!r} is given in the entry and again in its options. Keep one.")
        flat[key] = value
    return flat


def _checked(key: str, value: Any) -> Any:
    try:
        return _CHECKS[key](value)
    except (TypeError, ValueError) as error:
        raise InvalidSchedule(f"{key}: {error}") from None


def _task(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= TASK_NAME_MAX_LENGTH:
        raise TypeError(f"it is the name of a task, as 'shop.jobs.clean', not {value!r:.100}.")
    return value


def _args(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"it is a list or a tuple, not {value!r:.100}.")
    return tuple(value)


def _kwargs(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"it is a dict of arguments by name, not {value!r:.100}.")
    return dict(value)


def _time_zone(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it is the name of a time zone, not {value!r:.100}.")
    return zone_named(value).key if value else ""


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "task": _task,
    "schedule": read_schedule,
    "args": lambda value: _args(value or ()),
    "kwargs": lambda value: _kwargs(value or {}),
    "time_zone": _time_zone,
    "queue": lambda value: "" if value is None else check_queue(value),
    "priority": lambda value: None if value is None else check_priority(value),
    "expires": lambda value: None if value is None else check_seconds(value),
}
_FIELDS: Final = {"expires": "expires_seconds"}
