"""The next runs of a schedule as its form says it, whether it is saved or can be, in its own time zone and in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import dateformat
from django.utils.translation import gettext

from django_jobs.core.crontab import Crontab
from django_jobs.core.every import every
from django_jobs.core.schedule import Schedule, zone_named
from django_jobs.exceptions import InvalidSchedule

COUNT: Final = 5
UNITS: Final[dict[str, int]] = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRuns:
    """What the form shows: either runs, or why there are none."""

    zone: str = ""
    rule: str = ""
    runs: Sequence[tuple[str, str]] = ()
    """Each by the clocks of the zone, and of UTC."""
    problem: str = ""


def next_runs(values: Mapping[str, Any], *, now: datetime, default_zone: str) -> NextRuns:
    """Return the runs after `now` of the rule in a form's `values`."""
    try:
        rule = rule_of(values)
        zone = zone_named(str(values.get("time_zone") or "").strip() or default_zone)
    except InvalidSchedule as error:
        return NextRuns(problem=str(error))
    if rule is None:
        return NextRuns(problem=gettext("Give a crontab or an interval."))
    instants: list[datetime] = []
    instant: datetime | None = now
    while len(instants) < COUNT and instant is not None and (instant := rule.next_after(instant, zone)) is not None:
        instants.append(instant)
    if not instants:
        return NextRuns(problem=gettext("It would never run again."))
    runs = [
        (
            dateformat.format(instant.astimezone(zone), "D Y-m-d H:i:s T"),
            dateformat.format(instant.astimezone(UTC), "Y-m-d H:i:s"),
        )
        for instant in instants
    ]
    return NextRuns(zone=zone.key, rule=str(rule), runs=runs)


def rule_of(values: Mapping[str, Any]) -> Schedule | None:
    """Return the rule in a form's values; None where neither a crontab nor an interval is given.

    Raises:
        InvalidSchedule: it cannot be, or both are given.
    """
    line = str(values.get("crontab") or "").strip()
    seconds = seconds_of(values.get("interval_seconds"))
    if line and seconds is not None:
        raise InvalidSchedule(gettext("Both a crontab and an interval are given. Keep one of them."))
    if line:
        return Crontab(line, "and" if values.get("day_rule") == "and" else "or")
    return None if seconds is None else every(seconds=seconds)


def seconds_of(value: Any) -> float | None:
    """Return an interval given as seconds, or as a number and a unit; None for none.

    Raises:
        InvalidSchedule: it is no number, or the unit is unknown.
    """
    number, unit = value if isinstance(value, list | tuple) else (value, "seconds")
    if number in (None, ""):
        return None
    try:
        return float(number) * UNITS[unit or "seconds"]
    except (TypeError, ValueError, KeyError):
        raise InvalidSchedule(gettext("%(value)s is no interval.") % {"value": f"{number!r:.40}"}) from None
