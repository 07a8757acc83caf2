"""Filters of the admin's lists, whose choices come from the code: no column of a big table is read for them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_jobs.connections import connections
from django_jobs.models import TaskDefinition
from django_jobs.models.result import STATUSES

DAYS_OFFERED: Final = 7


class ColumnFilter(admin.SimpleListFilter):
    """Keeps the rows whose column has the chosen value; for a value that was not offered, none."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value not in {str(choice) for choice, _ in self.lookup_choices}:
            return queryset.none()
        return queryset.filter(**{str(self.parameter_name): value})


class StatusFilter(ColumnFilter):
    """Filters by how the job ended."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(STATUSES)


class TaskFilter(ColumnFilter):
    """Filters by task."""

    title = _("task")
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in task_names_seen()]


class QueueFilter(ColumnFilter):
    """Filters by queue, offering those that tasks or settings name."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in queue_names()]


class DayFilter(admin.SimpleListFilter):
    """Filters by the day on which a job ended; beside the days that are offered any other may stand in the URL."""

    title = _("day")
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        today = timezone.localdate() if connections.policy.use_tz else datetime.now().date()  # noqa: DTZ005  USE_TZ=False
        days = [today - timedelta(days=number) for number in range(DAYS_OFFERED)]
        names = {0: gettext("today"), 1: gettext("yesterday")}
        return [(day.isoformat(), names.get(number) or date_format(day)) for number, day in enumerate(days)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        try:
            day = date.fromisoformat(str(self.value()))
            first, last = _bounds(day)
        except (ValueError, OverflowError):
            return queryset.none()
        return queryset.filter(finished_at__gte=first, finished_at__lt=last)


def queue_names() -> list[str]:
    """Return the queues that tasks or settings name."""
    policy = connections.policy
    used = TaskDefinition.objects.using(policy.database).order_by().values_list("queue", flat=True).distinct()
    return sorted({*used, policy.default_queue, *policy.queues})


def task_names_seen() -> list[str]:
    """Return the tasks that have a row."""
    return list(TaskDefinition.objects.using(connections.policy.database).values_list("name", flat=True))


def _bounds(day: date) -> tuple[datetime, datetime]:
    """Return the first instant of a day and that of the next, by the reader's clocks."""
    first, last = (datetime.combine(at, time()) for at in (day, day + timedelta(days=1)))
    if not connections.policy.use_tz:
        return first, last
    return timezone.make_aware(first), timezone.make_aware(last)
