"""The admin of django_jobs; Django's autodiscovery imports this package where contrib.admin is installed."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin import AdminSite

from django_jobs.admin.definitions import TaskDefinitionAdmin
from django_jobs.admin.live import LiveJobAdmin
from django_jobs.admin.results import JobResultAdmin
from django_jobs.admin.schedules import PeriodicScheduleAdmin
from django_jobs.admin.workers import WorkerAdmin
from django_jobs.models import Job, JobResult, PeriodicSchedule, Session, TaskDefinition

__all__ = ["JobResultAdmin", "LiveJobAdmin", "PeriodicScheduleAdmin", "TaskDefinitionAdmin", "WorkerAdmin", "register"]


def register(site: AdminSite) -> None:
    """Put all pages of django_jobs on an admin site of your own; the default one has them."""
    site.register(TaskDefinition, TaskDefinitionAdmin)
    site.register(PeriodicSchedule, PeriodicScheduleAdmin)
    site.register(Job, LiveJobAdmin)
    site.register(JobResult, JobResultAdmin)
    site.register(Session, WorkerAdmin)


register(admin.site)
