"""What the commands with a beat share: a look at the tables, the project's beat, and its first line."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connections as database_connections

from django_jobs.apps import sync_schedules
from django_jobs.beat.beat import Beat
from django_jobs.beat.clock import database_now_us
from django_jobs.beat.entries import Entries
from django_jobs.beat.process import Stop, run
from django_jobs.connections import connections
from django_jobs.models import PeriodicSchedule

logger = logging.getLogger("django_jobs.beat")

MAX_INTERVAL_SECONDS: Final = 1.0


def look_at_tables() -> None:
    """Refuse to start without the tables; a database that is down now may come back.

    Raises:
        CommandError: they are missing.
    """
    alias = connections.policy.database
    try:
        names = database_connections[alias].introspection.table_names()
    except DatabaseError as error:
        logger.warning("The database %r cannot be reached: %s. The beat starts and goes on trying.", alias, error)
        return
    if PeriodicSchedule._meta.db_table not in names:
        flag = "" if alias == "default" else f" --database {alias}"
        raise CommandError(f"The table of schedules is missing. The beat was not started: run manage.py migrate{flag}.")


def make_beat(*, max_interval_seconds: float = MAX_INTERVAL_SECONDS) -> Beat:
    """Return the beat of this project. Nothing is connected yet."""
    policy = connections.policy
    _ = connections.broker  # imported now, and not at the first tick
    return Beat(
        Entries(policy.database, time_zone=policy.time_zone),
        alias=policy.database,
        now_us=partial(database_now_us, policy.database),
        monotonic=time.monotonic,
        declare=sync_schedules,
        max_interval_seconds=max_interval_seconds,
    )


def beat_in_worker(signals: Sequence[signal.Signals] = (signal.SIGTERM,)) -> int:
    """Run a beat in a process that a worker has forked; return its exit code.

    A terminal's SIGINT reaches it too, and is left to the worker, which then stops it.
    """
    run(make_beat(), Stop(signals), random=Random(), on_ready=greet)
    return 0


def greet() -> None:
    """Say how many schedules there are; called once the database has answered."""
    rows = PeriodicSchedule.objects.using(connections.policy.database).filter(missing=False)
    paused, broken = rows.filter(paused=True).count(), rows.broken().count()
    logger.info("Ready: %d schedules, %d of them paused, %d broken.", rows.count(), paused, broken)
