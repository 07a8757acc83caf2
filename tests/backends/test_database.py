"""The database backend keeps the contracts on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_jobs import models
from django_jobs.backends.database import DatabaseBroker, DatabaseLock, DatabaseResultStore
from django_jobs.core.bounds import Bounds, Limit
from django_jobs.core.policy import Policy
from django_jobs.testing.child import TASK, Child, ids, make_bound, make_message
from django_jobs.testing.contracts import (
    AtomicContract,
    BrokerContract,
    LockContract,
    ResultStoreContract,
    StoreHarness,
)

BROKER_TABLES: tuple[Any, ...] = (
    models.Ready,
    models.Due,
    models.Claimed,
    models.Job,
    models.Mark,
    models.UniqueKey,
    models.Limit,
    models.Slot,
    models.Pause,
    models.Turn,
)
TABLES = (*BROKER_TABLES, models.JobResult, models.Session, models.MaintenanceLock)


class DatabaseHarness(StoreHarness):
    """The tables of one alias, emptied; every view but the first has a connection of its own."""

    marks_own_ids = False  # an enqueue joins its caller's transaction: nobody sends an own id twice

    def __init__(self, alias: str) -> None:
        self.policy = Policy(database=alias)
        # A claim on PostgreSQL begins where the last one ended, and looks at what is due when that was to be expected.
        self.exact_claims = connections[alias].vendor != "postgresql"
        self.shifted_seconds = 0.0
        self.opened: list[DatabaseBroker] = []
        for table in TABLES:
            table.objects.using(alias).all().delete()

    def broker(self) -> DatabaseBroker:
        broker = DatabaseBroker(self.policy, own=bool(self.opened))
        self.opened.append(broker)
        return broker

    def results(self) -> DatabaseResultStore:
        return DatabaseResultStore(self.policy)

    def lock(self) -> DatabaseLock:
        return DatabaseLock(self.policy)

    def advance(self, seconds: float) -> None:
        self.shifted_seconds += seconds
        DatabaseBroker(self.policy).shift_clock(seconds)

    def now_us(self) -> int:
        return time.time_ns() // 1000 + round(self.shifted_seconds * 1_000_000)

    def leftovers(self) -> int:
        return sum(table.objects.using(self.policy.database).count() for table in BROKER_TABLES)

    def leave_thread(self) -> None:
        connections[self.policy.database].close()

    def close(self) -> None:
        DatabaseBroker(self.policy).shift_clock(-self.shifted_seconds)
        for broker in self.opened:
            broker.close()


class DatabaseCase:
    @pytest.fixture
    def store(self, database_alias: str) -> Iterator[DatabaseHarness]:
        harness = DatabaseHarness(database_alias)
        yield harness
        harness.close()


class TestDatabaseBroker(DatabaseCase, BrokerContract):
    pass


class TestAtomicJobs(DatabaseCase, AtomicContract):
    pass


class TestDatabaseResultStore(DatabaseCase, ResultStoreContract):
    pass


class TestDatabaseLock(DatabaseCase, LockContract):
    pass


def test_what_was_put_aside_while_its_pause_ended_is_swept_back(database_alias: str) -> None:
    harness = DatabaseHarness(database_alias)
    broker = harness.broker()
    limited = Bounds(limit=Limit(key="shop.mail", slots=1))
    broker.enqueue_many([make_message("a"), make_bound("b", bounds=limited), make_bound("c", bounds=limited)])
    broker.pause(task=TASK)
    child = Child(broker)
    while child.ask(child.want()).more:
        pass
    assert child.claim() == []
    with connections[database_alias].cursor() as cursor:  # what a claim of the same instant does not see
        cursor.execute("DELETE FROM django_jobs_pause")
    other = Child(harness.broker(), "session-2")
    assert other.claim() == []
    broker.let_in()
    assert sorted(ids(Child(harness.broker(), "session-3").claim())) == ["a", "b"], "c waits for its limit"
    harness.close()
