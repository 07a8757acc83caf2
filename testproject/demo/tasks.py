"""The demo's periodic job: the same audit again, each minute while `demo --serve` runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from django_jobs import job
from django_jobs.connections import connections
from django_jobs.models import PeriodicSchedule
from testproject.demo import dispatch, environment, runs

SCHEDULE: Final = "Repeat the audit"
KEPT: Final = 20
"""Audits of one environment that are left with their reports; older ones are dropped."""


@job
def repeat_audit(roots: Sequence[str]) -> dict[str, Any]:
    """Begin an audit of these directories, unless one is going on."""
    where = environment.current(roots)
    going_on = runs.unfinished(where.scope)
    if going_on is not None:
        return {"skipped": f"{going_on.pk} is going on"}
    dispatch.drop_old(where.scope, keep=KEPT)
    return {"audit": dispatch.begin(where).pk}


def schedule_repeats(where: environment.Environment) -> None:
    """Make the one row of the demo's schedule, or point it at this environment; a pause of it lasts."""
    rows = PeriodicSchedule.objects.using(connections.policy.database)
    rows.update_or_create(
        name=SCHEDULE,
        defaults={
            "task": repeat_audit.name,
            "args": json.dumps([list(where.roots)]),
            "crontab": "* * * * *",
            "queue": environment.queue_name(where.scope),
            "expires_seconds": 60.0,
            "source": "admin",
        },
    )
    rows.filter(name=SCHEDULE).replan()
