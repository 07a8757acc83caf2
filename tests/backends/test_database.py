"""The database backend keeps the contracts on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_jobs import models
from django_jobs.backends.database import DatabaseBroker, DatabaseLock, DatabaseResultStore
from django_jobs.core.policy import Policy
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
