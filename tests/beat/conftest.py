"""Beats over real tables, with a clock that stands still unless it is moved, and tasks of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections as database_connections

from django_jobs import job
from django_jobs.backends.memory import MemoryBroker, MemoryResultStore, MemoryStore
from django_jobs.beat.beat import Beat
from django_jobs.beat.entries import Entries
from django_jobs.connections import connections
from django_jobs.core.outcome import JobView
from django_jobs.core.schedule import to_us
from django_jobs.models import Due, Job, JobResult, Mark, PeriodicSchedule, Ready
from django_jobs.models.schedule import PeriodicScheduleQuerySet
from django_jobs.registry import registry
from tests.beat.times import NOON

TABLES = (Ready, Due, Job, Mark, JobResult, PeriodicSchedule)


class Site:
    """The tables of one alias, beats over them, and their common clock."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.now_us = to_us(NOON)
        self.passed = 0.0
        self.empty()

    def empty(self) -> None:
        for table in TABLES:
            table.objects.using(self.alias).all().delete()

    @property
    def rows(self) -> PeriodicScheduleQuerySet:
        return PeriodicSchedule.objects.using(self.alias)

    def add(self, name: str, **fields: Any) -> PeriodicSchedule:
        """Insert a row as a person would; by default it is every minute."""
        if "crontab" not in fields:
            fields.setdefault("interval_seconds", 60.0)
        return self.rows.create(name=name, **{"task": "tests.tick", **fields})

    def beat(self, **options: Any) -> Beat:
        given: dict[str, Any] = {"max_interval_seconds": 1.0} | options
        return Beat(
            Entries(self.alias, time_zone="UTC"),
            alias=self.alias,
            now_us=lambda: self.now_us,
            monotonic=lambda: self.passed,
            **given,
        )

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)
        self.passed += abs(seconds)

    def settle(self, beat: Beat) -> float:
        """Step until the beat would sleep; return for how long."""
        for _ in range(200):
            if seconds := beat.step():
                return seconds
        raise AssertionError("the beat never sleeps")

    def jobs(self) -> list[JobView]:
        """Return the live jobs in the order in which they were enqueued."""
        ids = list(Job.objects.using(self.alias).order_by("enqueued_us", "at_us").values_list("pk", flat=True))
        found = connections.broker.state_of(ids)
        return [found[job_id] for job_id in ids]


@pytest.fixture
def site(database_alias: str, settings: Any) -> Iterator[Site]:
    settings.DJANGO_JOBS = {"DATABASE": database_alias}
    made = Site(database_alias)
    yield made
    made.empty()  # the database is there for other tests, too
    connections.reset()


@pytest.fixture
def elsewhere(site: Site) -> MemoryBroker:
    """Give a broker that is not in the database of the schedules."""
    store = MemoryStore()
    broker = MemoryBroker(store=store)
    connections.use(broker, MemoryResultStore(store=store))
    return broker


@pytest.fixture(autouse=True)
def tick() -> Iterator[Callable[..., Any]]:
    """Declare the task of the schedules."""

    def function(*args: Any, left: int = 0) -> None:
        """Do nothing."""

    task = job(name="tests.tick", queue="ticks")(function)
    yield task
    registry.unregister("tests.tick")


@pytest.fixture
def query_count(site: Site) -> Iterator[Callable[[], int]]:
    """Give a function that counts the statements on the alias since it was called last."""
    connection = database_connections[site.alias]
    connection.force_debug_cursor = True
    connection.queries_log.clear()

    def count() -> int:
        found = len(connection.queries_log)
        connection.queries_log.clear()
        return found

    yield count
    connection.force_debug_cursor = False
