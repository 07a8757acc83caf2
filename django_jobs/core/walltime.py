"""From what clocks on the wall show to instants, over changes of the clocks: Debian cron's rule.

`next_wall(wall)` stands for a schedule: it returns the first time of day and date (naive, whole seconds) later than
`wall` that the schedule names, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

NextWall = Callable[[datetime], datetime | None]
SECOND: Final = timedelta(seconds=1)


def next_once(instant: datetime, tz: tzinfo, next_wall: NextWall) -> datetime | None:
    """Return the next instant of a schedule at fixed times.

    A time that clocks skip runs right after the gap; one that they show twice runs the first time.
    """
    wall = _shown(instant, tz)
    while (named := next_wall(wall)) is not None:
        found = instants(named, tz)
        at = found[0] if found else gap_end(named, tz)
        if at > instant:
            return at
        wall = named
    return None


def next_each(instant: datetime, tz: tzinfo, next_wall: NextWall) -> datetime | None:
    """Return the next instant of a schedule that goes on by real time, as each 10 minutes.

    It runs whenever clocks show what it names: not in a gap, and again when an hour is repeated.
    """
    wall = _shown(instant, tz)
    coming = _next_shown(instant, wall, tz, next_wall)
    passes = instants(wall, tz)
    if len(passes) < 2 or instant >= passes[1]:
        return coming
    # In the first of two passes: what this pass has shown already comes again in the second.
    if coming is not None and coming < passes[1]:
        return coming
    again = _next_shown_again(wall, passes[1] - passes[0], tz, next_wall)
    return min((at for at in (coming, again) if at is not None), default=None)


def instants(wall: datetime, tz: tzinfo) -> list[datetime]:
    """Return the instants (UTC) at which clocks show `wall`: none in a gap, two where it is repeated."""
    found: list[datetime] = []
    for fold in (0, 1):
        at = wall.replace(tzinfo=tz, fold=fold).astimezone(UTC)
        if at.astimezone(tz).replace(tzinfo=None, fold=0) == wall and at not in found:
            found.append(at)
    return found


def gap_end(wall: datetime, tz: tzinfo) -> datetime:
    """Return the instant (UTC) at which clocks jumped over `wall`, which they never show."""
    before = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    old = before.astimezone(tz).utcoffset()
    low, high = 0, round((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        if (before + middle * SECOND).astimezone(tz).utcoffset() == old:
            low = middle + 1
        else:
            high = middle
    return before + low * SECOND


def _next_shown(instant: datetime, wall: datetime, tz: tzinfo, next_wall: NextWall) -> datetime | None:
    while (named := next_wall(wall)) is not None:
        found = instants(named, tz)
        if later := [at for at in found if at > instant]:
            return later[0]
        wall = named if found else max(named, _shown(gap_end(named, tz), tz) - SECOND)
    return None


def _next_shown_again(wall: datetime, repeated: timedelta, tz: tzinfo, next_wall: NextWall) -> datetime | None:
    """Return the first instant of the second pass that shows something named at or before `wall`."""
    named = next_wall(wall - repeated)
    while named is not None and named <= wall:
        found = instants(named, tz)
        if len(found) == 2:
            return found[1]
        named = next_wall(named)
    return None


def _shown(instant: datetime, tz: tzinfo) -> datetime:
    """Return what clocks show, to the second."""
    return instant.astimezone(tz).replace(tzinfo=None, fold=0, microsecond=0)
