"""The rows of schedules as a beat sees them: which are due, and every change that it makes to one.

Each change is one statement that compares what was read: of several beats one makes it, the others change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from django.db import OperationalError, connections
from django.db.models import Min

from django_jobs.core.declaration import Declaration
from django_jobs.core.schedule import from_us, tick_after, to_us, zone_named
from django_jobs.core.serializer import clean_text
from django_jobs.exceptions import InvalidSchedule
from django_jobs.models.schedule import RULE, PeriodicSchedule, PeriodicScheduleQuerySet, digest

SQLITE_BUSY_MILLISECONDS: Final = 20_000
NEVER: Final = "It would never run again: there is no tick before the year 10000."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row that is due."""

    row: PeriodicSchedule
    declaration: Declaration
    tick_us: int
    next_us: int
    """The tick that takes its place."""


class Entries:
    """The table of one database; `time_zone` is that of schedules that name none."""

    def __init__(self, alias: str, *, time_zone: str) -> None:
        self._alias = alias
        self._time_zone = time_zone

    @property
    def rows(self) -> PeriodicScheduleQuerySet:
        """All rows."""
        return PeriodicSchedule.objects.using(self._alias)

    def connect(self) -> None:
        """Have SQLite wait for other writers as workers do, and not for readers at all; others need nothing."""
        connection = connections[self._alias]
        if connection.vendor != "sqlite" or connection.connection is not None:
            return
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MILLISECONDS}")
            with suppress(OperationalError):  # somebody uses the file just now; it is quicker in this mode, no more
                cursor.execute("PRAGMA journal_mode = WAL")

    def due(self, now_us: int, limit: int) -> Sequence[PeriodicSchedule]:
        """Return rows whose tick has come, the oldest first."""
        return list(self.rows.due(now_us)[:limit])

    def take(self, now_us: int, limit: int) -> Sequence[PeriodicSchedule]:
        """Lock and return due rows, leaving out those that another beat has locked; inside a transaction only.

        On SQLite the first statement must be a write: it waits for the other writers, and then all due rows are ours.
        """
        if connections[self._alias].features.has_select_for_update_skip_locked:
            return list(self.rows.due(now_us).select_for_update(skip_locked=True)[:limit])
        self.rows.filter(pk=0).update(paused=False)
        return self.due(now_us, limit)

    def next_us(self, now_us: int) -> int | None:
        """Return the earliest tick that is still to come."""
        coming = self.rows.filter(paused=False, next_run_us__gt=now_us)
        found: int | None = coming.aggregate(first=Min("next_run_us"))["first"]
        return found

    def plan_all(self, now_us: int) -> None:
        """Find the next tick of each row that has none; forget that of rows that were paused by whatever means."""
        paused = self.rows.filter(paused=True, next_run_us__isnull=False)
        if paused.exists():
            paused.update(next_run_us=None)
        for row in list(self.rows.unplanned()):
            self.plan(row, now_us)

    def plan(self, row: PeriodicSchedule, now_us: int) -> None:
        """Count the row's next tick from now; mark the row broken where there is none."""
        try:
            declaration = row.declaration()
            tick = declaration.schedule.next_after(from_us(now_us), self._zone(declaration))
        except InvalidSchedule as error:
            self.mark_broken(row, str(error))
            return
        if tick is None:
            self.mark_broken(row, NEVER)
            return
        as_read = {name: getattr(row, name) for name in RULE}
        same = self.rows.filter(pk=row.pk, paused=False, problem="", next_run_us=row.next_run_us, **as_read)
        same.update(next_run_us=to_us(tick), digest=digest(declaration, self._time_zone))

    def entry(self, row: PeriodicSchedule, now_us: int) -> Entry | None:
        """Return what is due with the tick that follows; None where the row's rule is another one by now.

        Raises:
            InvalidSchedule: the row cannot be read, or has no further tick.
        """
        declaration = row.declaration()
        tick_us = row.next_run_us
        if tick_us is None or row.digest != digest(declaration, self._time_zone):
            return None
        zone = self._zone(declaration)
        following = tick_after(declaration.schedule, from_us(tick_us), from_us(now_us), zone)
        if following is None:
            raise InvalidSchedule(NEVER)
        return Entry(row=row, declaration=declaration, tick_us=tick_us, next_us=to_us(following))

    def move(self, entry: Entry, job_id: str) -> bool:
        """Put the next tick in the place of this one; False where another beat has done so, or somebody an edit."""
        same = self.rows.filter(pk=entry.row.pk, paused=False, next_run_us=entry.tick_us, digest=entry.row.digest)
        return bool(same.update(next_run_us=entry.next_us, last_run_us=entry.tick_us, last_job_id=job_id))

    def mark_broken(self, row: PeriodicSchedule, why: str) -> bool:
        """Say on the row why it cannot fire; False where that is done, or the row has changed."""
        same = self.rows.filter(pk=row.pk, problem="", next_run_us=row.next_run_us)
        return bool(same.update(problem=clean_text(why), next_run_us=None))

    def mend(self, row: PeriodicSchedule) -> bool:
        """Let a broken row fire again, from now on; False where it has changed."""
        return bool(self.rows.filter(pk=row.pk, problem=row.problem).update(problem="", next_run_us=None))

    def _zone(self, declaration: Declaration) -> ZoneInfo:
        return zone_named(declaration.time_zone or self._time_zone)
