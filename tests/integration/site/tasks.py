"""A task of Django's own, for a worker of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task

from tests.integration.site.ledger import write


@task(takes_context=True)
def note(context: Any, key: str) -> dict[str, Any]:
    write("ran", key, context.attempt)
    return {"key": key, "id": context.task_result.id}
