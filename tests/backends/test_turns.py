"""One key with very many jobs, and 999 with one each: the others run at once, and nothing costs more for the flood.

The long form: TEST_FLOOD_JOBS=1000000 pytest tests/backends/test_turns.py -s (100,000 in the databases).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.db import connections, transaction

from django_jobs.core.bounds import Bounds
from django_jobs.core.message import Message
from django_jobs.ports.broker import Broker
from django_jobs.testing.child import Child, make_bound
from django_jobs.testing.harness import StoreHarness
from tests.backends.test_database import DatabaseCase
from tests.backends.test_memory import MemoryCase
from tests.backends.test_redis import RedisCase, url

__all__ = ["url"]  # a fixture of RedisCase

JOBS: Final = int(os.environ.get("TEST_FLOOD_JOBS", "4000"))
IS_LONG: Final = JOBS > 10_000
IN_DATABASES: Final = min(JOBS, 100_000)
OTHERS: Final = 999
CLAIMS: Final = 2_000
SAMPLE: Final = 1_000
FLAT: Final = 10.0
"""At most so many times what it costs without the flood, on a busy machine; what grew with it would be 50 times."""


def turns_of(key: str, count: int = 1) -> list[Message]:
    return [make_bound(bounds=Bounds(fair=key)) for _ in range(count)]


def seconds(step: Callable[[], Any]) -> float:
    """Return how long a step took, the best of three: the machine is noisy."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return min(taken)


class Flood:
    """Enqueues, one key first, and claims."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.child = Child(broker)

    def enqueue(self, key: str, count: int) -> None:
        for first in range(0, count, SAMPLE):
            self.broker.enqueue_many(turns_of(key, min(SAMPLE, count - first)))

    def enqueue_singly(self) -> None:
        for number in range(100):
            self.broker.enqueue_many(turns_of(f"single-{number}"))

    def claim(self) -> None:
        claims = self.child.claim(limit=SAMPLE)
        assert claims
        self.child.settle_all(claims, keep=False)

    def others_done_after(self) -> int:
        """Return how many jobs were claimed until one job of each other key had been among them."""
        waiting, claimed = {str(number) for number in range(OTHERS)}, 0
        while waiting:
            claims = self.child.claim(limit=100)
            claimed += len(claims)
            waiting -= {claim.message.bounds.fair or "" for claim in claims if claim.message.bounds}
            self.child.settle_all(claims, keep=False)
            assert claims
        return claimed


def run(store: StoreHarness, jobs: int) -> None:
    flood = Flood(store.broker())
    flood.enqueue("huge", 3 * SAMPLE)
    before = seconds(flood.enqueue_singly), seconds(flood.claim)
    began = time.perf_counter()
    flood.enqueue("huge", jobs)
    filled = time.perf_counter() - began
    flood.broker.enqueue_many([message for number in range(OTHERS) for message in turns_of(str(number))])
    claimed = flood.others_done_after()
    after = seconds(flood.enqueue_singly), seconds(flood.claim)
    ratios = [late / early for early, late in zip(before, after, strict=True)]
    sys.stdout.write(
        f"{type(store).__name__}: {jobs} jobs in {filled:.1f} s, {OTHERS} others among the first {claimed}; "
        f"100 enqueues {before[0]:.3f} -> {after[0]:.3f} s, {SAMPLE} claims {before[1]:.3f} -> {after[1]:.3f} s\n"
    )
    assert claimed <= CLAIMS + 400, "those that came one by one had their turns as well"
    if IS_LONG:
        assert max(ratios) < FLAT, ratios


class TestFloodInMemory(MemoryCase):
    def test_others_run_at_once(self, store: StoreHarness) -> None:
        run(store, min(JOBS, 20_000))


class TestFloodInDatabases(DatabaseCase):
    @pytest.mark.timeout(120 + IN_DATABASES / 100)
    def test_others_run_at_once(self, store: StoreHarness) -> None:
        run(store, IN_DATABASES)

    @pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
    def test_a_transaction_that_stays_open_holds_up_no_other_enqueue_of_its_key(
        self, store: StoreHarness, database_alias: str
    ) -> None:
        """The other connection gives up on a lock at once, so that waiting for one is an error here."""
        broker, other = store.broker(), store.broker()
        broker.enqueue_many(turns_of("huge", 40))
        child = Child(other)
        with transaction.atomic(using=database_alias):
            broker.enqueue_many(turns_of("huge", 3))
            assert connections[database_alias].in_atomic_block
            with other._connection.wrapper.cursor() as cursor:  # type: ignore[attr-defined]  # only to set the patience
                is_postgres = connections[database_alias].vendor == "postgresql"
                cursor.execute(
                    "SET lock_timeout = '200ms'" if is_postgres else "SET SESSION innodb_lock_wait_timeout = 1"
                )
            for _ in range(60):
                assert other.enqueue_many(turns_of("huge")) == [True]
        assert len(child.claim(limit=1000)) == 40 + 3 + 60


class TestFloodInRedis(RedisCase):
    @pytest.mark.timeout(120 + JOBS / 1000)
    def test_others_run_at_once(self, store: StoreHarness) -> None:
        run(store, JOBS)
