"""The tasks that this process knows, for pages that must show up even where a project's module cannot be imported."""

from __future__ import annotations

import logging
from typing import Any

from django_jobs.client.task import Task, task_named
from django_jobs.exceptions import TaskNotRegistered
from django_jobs.registry import registry

logger = logging.getLogger("django_jobs.admin")


def task_of(name: str) -> Task[..., Any] | None:
    """Return the task of this name; None where no module declares it, or its module cannot be imported."""
    try:
        return task_named(name)
    except TaskNotRegistered:
        return None
    except Exception:
        logger.exception("The tasks of this project cannot be read. Run manage.py check to see where.")
        return None


def task_names() -> list[str]:
    """Return the names of the tasks; none where a module cannot be imported."""
    try:
        return registry.names()
    except Exception:
        logger.exception("The tasks of this project cannot be read. Run manage.py check to see where.")
        return []


def is_runnable(task: Task[..., Any] | None) -> bool:
    """Say whether people may run the task from the admin with arguments of their own."""
    return task is not None and task.options.admin_runnable
