"""The Django app: registers the system checks, and keeps the task rows up to date after migrate."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.db import OperationalError, router
from django.db.models import Model
from django.db.models.signals import post_migrate
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_jobs import checks
from django_jobs.connections import connections
from django_jobs.core.declaration import Declaration
from django_jobs.registry import registry

logger = logging.getLogger("django_jobs")


class DjangoJobsConfig(AppConfig):
    """Makes no query and imports no jobs module at start-up: tasks are looked for at the first look-up."""

    name = "django_jobs"
    label = "django_jobs"
    verbose_name = _("Background jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register_all()
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="django_jobs.after_migrate")


def sync_definitions() -> int:
    """Bring the TaskDefinition rows up to date with the code and return how many tasks that declares; 0 when busy.

    The rows are for people and nothing runs by them: where the database is locked or unreachable just now, that is
    logged, and the next worker does it.
    """
    from django_jobs.models import TaskDefinition

    policy = connections.policy
    specs = list(registry)
    routed = {} if policy.routes.is_dynamic else {spec.name: policy.routes.find(spec.name) for spec in specs}
    try:
        return TaskDefinition.objects.using(policy.database).sync(
            specs,
            defaults=policy.task_defaults,
            default_queue=policy.default_queue,
            routed={name: route["queue"] for name, route in routed.items() if "queue" in route},
            now=timezone.now(),
        )
    except OperationalError as error:
        logger.warning("The task definitions were not brought up to date: %s. The next worker does it.", error)
        return 0


def declared_schedules() -> list[Declaration]:
    """Return the schedules of `@job(schedule=...)`, in the order of their names, which are those of the tasks."""
    return [
        Declaration(name=spec.name, task=spec.name, schedule=spec.given["schedule"])
        for spec in registry
        if spec.given.get("schedule") is not None
    ]


def sync_schedules() -> None:
    """Bring the PeriodicSchedule rows up to date with code and settings; where both have a name, settings win.

    Raises:
        django.db.Error: the database cannot be used just now; repeat the call.
    """
    from django_jobs.models import PeriodicSchedule

    policy = connections.policy
    rows = PeriodicSchedule.objects.using(policy.database)
    in_settings = policy.schedules.keys() | policy.broken_schedules.keys()
    in_code = [declaration for declaration in declared_schedules() if declaration.name not in in_settings]
    taken = rows.sync(policy.schedules.values(), source="settings", broken=policy.broken_schedules)
    taken += rows.sync(in_code, source="code", broken={})
    for name in taken:
        logger.warning("The schedule %s was declared elsewhere before; from now on it follows code or settings.", name)
    for name, why in policy.broken_schedules.items():
        logger.error("DJANGO_JOBS['SCHEDULES'][%r] cannot be used: %s", name, why)


def after_migrate(*, using: str, apps: Any = installed_apps, **_: Any) -> None:
    """Bring the rows up to date where our tables have just been migrated to what this version needs."""
    if using != connections.policy.database or not _is_current(apps, using):
        return
    try:
        sync_definitions()
        sync_schedules()
    except Exception as error:  # noqa: BLE001  whatever a project's module does at import must not stop a migration
        logger.warning(
            "Task definitions and schedules were not brought up to date, because a jobs module failed: %s: %s. "
            "Run manage.py check to see where.",
            type(error).__name__,
            error,
        )


def _is_current(apps: Any, using: str) -> bool:
    """Say whether the migrated state `apps` has the tables as this version knows them; `migrate` may stop earlier."""
    from django_jobs.models import PeriodicSchedule, TaskDefinition

    return all(_has_columns(apps, using, model) for model in (TaskDefinition, PeriodicSchedule))


def _has_columns(apps: Any, using: str, model: type[Model]) -> bool:
    try:
        migrated = apps.get_model("django_jobs", model.__name__)
    except LookupError:
        return False
    columns = {field.column for field in model._meta.concrete_fields}
    return router.allow_migrate_model(using, model) and columns == {
        field.column for field in migrated._meta.concrete_fields
    }
