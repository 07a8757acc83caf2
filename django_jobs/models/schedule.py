"""Schedules: rows that say what a beat enqueues, and when next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

import msgspec
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_jobs.core.crontab import DAY_RULES, MAX_LENGTH, Crontab
from django_jobs.core.declaration import NAME_MAX_LENGTH, Declaration, digest_of
from django_jobs.core.every import Every, every
from django_jobs.core.message import TASK_NAME_MAX_LENGTH
from django_jobs.core.schedule import Schedule, from_us, zone_named
from django_jobs.core.serializer import clean_text, from_plain, to_plain
from django_jobs.exceptions import InvalidSchedule, JobsError, SerializationError

SOURCES = [("code", _("code")), ("settings", _("settings")), ("admin", _("admin"))]
DAY_RULE_CHOICES = [("or", _("one of the day fields")), ("and", _("both day fields"))]


class PeriodicScheduleQuerySet(models.QuerySet["PeriodicSchedule"]):
    """Rows of schedules. Only rows that may fire have a `next_run_us`; a row without one is planned by a beat."""

    def due(self, now_us: int) -> Self:
        """Return those with a tick at or before now, the oldest tick first."""
        return self.filter(paused=False, next_run_us__lte=now_us).order_by("next_run_us", "pk")

    def unplanned(self) -> Self:
        """Return those that may fire and whose next tick is not known: new, edited or resumed ones."""
        return self.filter(paused=False, next_run_us=None, missing=False, problem="")

    def broken(self) -> Self:
        """Return those that cannot fire until somebody mends them."""
        return self.filter(missing=False).exclude(problem="")

    def pause(self) -> int:
        """Let no tick of these fire from now on; return how many were not paused before."""
        return self.filter(paused=False).update(paused=True, next_run_us=None)

    def resume(self) -> int:
        """Let these fire again, from now on: what they missed is not made up for. Return how many were paused."""
        return self.filter(paused=True).update(paused=False, next_run_us=None)

    def replan(self) -> int:
        """Have a beat count their next tick from now, after an edit, and judge anew those that were broken."""
        return self.update(next_run_us=None, problem="")

    def sync(self, declared: Iterable[Declaration], *, source: str, broken: Mapping[str, str]) -> list[str]:
        """Bring the rows of one source up to date with what it declares; return the names that it took from another.

        What it no longer declares is marked missing, never deleted; what a person paused stays paused. `broken` says
        of names why their entry cannot be used. Several processes may do this at the same time: each statement stands
        alone, and repeating it changes nothing.
        """
        rows: dict[str, PeriodicSchedule] = {}
        for declaration in declared:
            rows[declaration.name] = row_of(declaration, source)
        known = {row.name: row for row in self.filter(name__in=rows)}
        self.bulk_create([row for name, row in rows.items() if name not in known], ignore_conflicts=True)
        taken = []
        for name, row in known.items():
            if row.source != source:
                taken.append(name)
            if changed := _changes(row, rows[name]):
                self.filter(pk=row.pk).update(**changed)
        for name, why in broken.items():
            self.filter(name=name, source=source).update(problem=clean_text(why), next_run_us=None, missing=False)
        gone = self.filter(source=source, missing=False).exclude(name__in=[*rows, *broken])
        gone.update(missing=True, next_run_us=None)
        return taken


class PeriodicSchedule(models.Model):
    """When to enqueue which task with which arguments. Beats read it; times are microseconds since 1970, UTC.

    A bigint and no DateTimeField: under USE_TZ=False that holds local times, and each autumn has one hour twice.
    """

    name = models.CharField(_("name"), max_length=NAME_MAX_LENGTH, unique=True)
    task = models.CharField(_("task"), max_length=TASK_NAME_MAX_LENGTH)
    """The name of a registered task; nothing is ever imported by it."""
    args = models.TextField(_("arguments"), default="[]")
    """JSON list, as messages carry it."""
    kwargs = models.TextField(_("arguments by name"), default="{}")
    """JSON object, the same."""
    crontab = models.CharField(_("crontab"), max_length=MAX_LENGTH, blank=True)
    """Five fields, or six that begin with seconds; empty for an interval."""
    day_rule = models.CharField(_("day rule"), max_length=3, choices=DAY_RULE_CHOICES, default=DAY_RULES[0])
    interval_seconds = models.FloatField(_("interval (seconds)"), null=True, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=100, blank=True)
    """Empty: TIME_ZONE."""
    queue = models.CharField(_("queue"), max_length=128, blank=True)
    """Empty: the task's own; the same for priority and expiry."""
    priority = models.SmallIntegerField(_("priority"), null=True, blank=True)
    expires_seconds = models.FloatField(_("expires after (seconds)"), null=True, blank=True)
    paused = models.BooleanField(_("paused"), default=False)
    """By a person; it lasts, whatever the code declares."""
    source = models.CharField(_("declared in"), max_length=8, choices=SOURCES, default="admin")
    missing = models.BooleanField(_("missing"), default=False)
    """True when code or settings no longer declare it."""
    problem = models.TextField(_("problem"), blank=True, default="")
    """Why it cannot fire; empty when it can."""
    digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    """Of the rule and time zone by which `next_run_us` was found: where they are others by now, it does not count."""
    next_run_us = models.BigIntegerField(_("next run"), null=True, editable=False)
    """The next tick to fire, in turn; null: a beat finds it, within a second."""
    last_run_us = models.BigIntegerField(_("last run"), null=True, editable=False)
    """The last tick that fired."""
    last_job_id = models.CharField(_("last job"), max_length=64, blank=True, default="", editable=False)

    objects = PeriodicScheduleQuerySet.as_manager()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["name"]
        indexes = [models.Index(fields=["paused", "next_run_us"], name="django_jobs_schedule_next")]

    def __str__(self) -> str:
        return self.name

    @property
    def next_run_at(self) -> datetime | None:
        """The next tick, aware UTC."""
        return None if self.next_run_us is None else from_us(self.next_run_us)

    @property
    def last_run_at(self) -> datetime | None:
        """The last tick that fired, aware UTC."""
        return None if self.last_run_us is None else from_us(self.last_run_us)

    def schedule(self) -> Schedule:
        """Return the rule.

        Raises:
            InvalidSchedule: it cannot be, or there is none.
        """
        if bool(self.crontab) == (self.interval_seconds is not None):
            raise InvalidSchedule("A schedule has either a crontab or an interval.")
        if self.interval_seconds is not None:
            return every(seconds=self.interval_seconds)
        return Crontab(self.crontab, "and" if self.day_rule == "and" else "or")

    def declaration(self) -> Declaration:
        """Return the row as a declaration.

        Raises:
            InvalidSchedule: its rule, its time zone or its arguments cannot be read.
        """
        schedule = self.schedule()
        if self.time_zone:
            zone_named(self.time_zone)
        return Declaration(
            name=self.name,
            task=self.task,
            schedule=schedule,
            args=tuple(_read(self.args, list, "args")),
            kwargs=_read(self.kwargs, dict, "kwargs"),
            time_zone=self.time_zone,
            queue=self.queue,
            priority=self.priority,
            expires_seconds=self.expires_seconds,
        )


FOLLOWING = (
    "task", "args", "kwargs", "crontab", "day_rule", "interval_seconds", "time_zone",
    "queue", "priority", "expires_seconds", "source", "missing",
)  # fmt: skip
"""The columns that follow the declaration."""
RULE = frozenset({"crontab", "day_rule", "interval_seconds", "time_zone", "missing"})
"""Those on which the next tick depends."""


def row_of(declaration: Declaration, source: str) -> PeriodicSchedule:
    """Return a new row; arguments that JSON cannot carry make it a broken one."""
    schedule = declaration.schedule
    row = PeriodicSchedule(
        name=declaration.name,
        task=declaration.task,
        crontab=schedule.line if isinstance(schedule, Crontab) else "",
        day_rule=schedule.day_rule if isinstance(schedule, Crontab) else DAY_RULES[0],
        interval_seconds=schedule.seconds if isinstance(schedule, Every) else None,
        time_zone=declaration.time_zone,
        queue=declaration.queue,
        priority=declaration.priority,
        expires_seconds=declaration.expires_seconds,
        source=source,
    )
    try:
        row.args = _written(list(declaration.args), "args")
        row.kwargs = _written(dict(declaration.kwargs), "kwargs")
    except SerializationError as error:
        row.problem = str(error)
    return row


def digest(declaration: Declaration, default_zone: str) -> str:
    """Return the digest of a row's rule, where TIME_ZONE is `default_zone`."""
    return digest_of(declaration.schedule, declaration.time_zone or default_zone)


def _changes(row: PeriodicSchedule, wanted: PeriodicSchedule) -> dict[str, Any]:
    changed = {name: getattr(wanted, name) for name in FOLLOWING if getattr(row, name) != getattr(wanted, name)}
    if wanted.problem or (changed and row.problem):
        changed["problem"] = wanted.problem
    if RULE & changed.keys() or wanted.problem:
        changed["next_run_us"] = None
    return changed


def _written(value: Any, path: str) -> str:
    return msgspec.json.encode(to_plain(value, path)).decode()


def _read(text: str, kind: type, column: str) -> Any:
    try:
        value = from_plain(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError, JobsError) as error:
        raise InvalidSchedule(f"{column} is {text!r:.100}, which is no JSON that can be read: {error}.") from None
    if not isinstance(value, kind):
        raise InvalidSchedule(f"{column} is {text!r:.100}; it is a JSON {'list' if kind is list else 'object'}.")
    return value
