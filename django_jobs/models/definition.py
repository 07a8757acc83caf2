"""The tasks of the project as people see them: rows that follow the code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_jobs.core.options import TaskOptions
from django_jobs.core.serializer import clean_text
from django_jobs.core.spec import TaskSpec


class TaskDefinitionQuerySet(models.QuerySet["TaskDefinition"]):
    """Rows of tasks."""

    def sync(
        self,
        specs: Iterable[TaskSpec],
        *,
        defaults: Mapping[str, Any],
        default_queue: str,
        routed: Mapping[str, str],
        now: datetime,
    ) -> int:
        """Bring the rows up to date with the tasks of the code, and return how many those are.

        `routed`: task name -> the queue that ROUTES gives it, where its code names none.

        A task that the code no longer declares is marked missing, never deleted. Several processes may do this at
        the same time: each statement stands alone, and repeating it changes nothing.
        """
        rows = {}
        for spec in specs:
            options = spec.options_over(defaults)
            queue = spec.given.get("queue") or routed.get(spec.name) or options.queue or default_queue
            rows[spec.name] = _row(spec, options, queue, now)
        known = {row.name: row for row in self.filter(name__in=rows)}
        self.bulk_create([row for name, row in rows.items() if name not in known], ignore_conflicts=True)
        for name, row in known.items():
            changed = {field: getattr(rows[name], field) for field in FOLLOWING if _differs(row, rows[name], field)}
            if changed:
                self.filter(name=name).update(**changed)
        self.filter(name__in=rows).update(last_seen_at=now, missing=False)
        self.filter(missing=False).exclude(name__in=rows).update(missing=True)
        return len(rows)


class TaskDefinition(models.Model):
    """A registered task. Written from the code after migrate and at a worker's start; never read to run a job."""

    name = models.CharField(_("name"), max_length=255, unique=True)
    module = models.CharField(_("module"), max_length=255, blank=True)
    doc = models.TextField(_("description"), blank=True)
    queue = models.CharField(_("queue"), max_length=128)
    priority = models.SmallIntegerField(_("priority"), default=0)
    is_async = models.BooleanField(_("coroutine"), default=False)
    signature = models.TextField(_("signature"), blank=True)
    options = models.TextField(_("options"), default="{}")
    """JSON object of the options that differ from the defaults."""
    missing = models.BooleanField(_("missing"), default=False)
    """True when the code no longer declares it."""
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    objects = TaskDefinitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["name"]
        permissions = [("run_task", "Can run a task now")]

    def __str__(self) -> str:
        return self.name


FOLLOWING = ("module", "doc", "queue", "priority", "is_async", "signature", "options")
"""The columns that follow the code."""


def _row(spec: TaskSpec, options: TaskOptions, queue: str, now: datetime) -> TaskDefinition:
    return TaskDefinition(
        name=spec.name,
        module=spec.module[:255],
        doc=clean_text(options.description or inspect.getdoc(spec.function) or ""),
        queue=queue,
        priority=options.priority,
        is_async=spec.is_async,
        signature=clean_text(str(spec.signature)),
        options=json.dumps({name: _plain(value) for name, value in spec.given.items()}, default=str, sort_keys=True),
        first_seen_at=now,
        last_seen_at=now,
    )


def _differs(row: TaskDefinition, other: TaskDefinition, field: str) -> bool:
    return bool(getattr(row, field) != getattr(other, field))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [f"{item.__module__}.{item.__qualname__}" for item in value]
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value
