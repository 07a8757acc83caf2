"""Atomic jobs in real workers: whatever is killed at whatever moment, what they write is there exactly once.

`ATOMIC_KILLS=500 pytest -s tests/integration/test_atomic.py -k killed` kills 500 times on each database, and tells what
it has counted.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import count

import psutil
import pytest
from django.db import DatabaseError, connections

from django_jobs import AsyncResult, State, Task
from django_jobs.connections import connections as stores
from django_jobs.core.attempts import load
from django_jobs.core.outcome import StoredResult
from tests.integration.harness import Site, Worker, until
from tests.integration.site import atomic, jobs
from tests.services import DATABASE_KINDS

KILLS = int(os.environ.get("ATOMIC_KILLS", "15"))
WORKER_KILLS = 0.15
"""The share of kills that end a whole worker: its jobs wait for the session to expire."""
BATCH = 30
ENDLESS = {"MAX_CRASHES": 10**6}
LONG = 120 + 8 * KILLS

on_sql = pytest.mark.parametrize("database", DATABASE_KINDS, indirect=True)
"""Atomic jobs need a store that shares their transaction."""


@pytest.fixture(autouse=True)
def payments(site: Site, database_alias: str) -> None:
    with connections[database_alias].cursor() as cursor:
        with suppress(DatabaseError):
            cursor.execute(atomic.CREATE)
        cursor.execute(f"DELETE FROM {atomic.TABLE}")


def paid(alias: str) -> Counter[tuple[str, str]]:
    """Return how often there is each (key, event)."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT id, event FROM {atomic.TABLE}")
        return Counter((key, event) for key, event in cursor.fetchall())


class Chaos:
    """Keeps two workers in work and kills them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._workers = [self._start(), self._start()]
        self._keys = count()
        self.atomic: dict[str, AsyncResult[str]] = {}
        self.plain: dict[str, AsyncResult[str]] = {}
        self.killed: Counter[str] = Counter()
        for worker in self._workers:
            worker.ready()

    def _start(self) -> Worker:
        return self._site.worker("-c", "2", settings=ENDLESS)

    def feed(self) -> None:
        """See to it that there is work when a kill comes."""
        waiting = sum(stats.queued for stats in stores.broker.stats())
        if waiting < 2 * BATCH:
            for number in (next(self._keys) for _ in range(BATCH)):
                self.atomic[f"a{number}"] = atomic.pay.delay(f"a{number}")
                self.plain[f"p{number}"] = atomic.pay_plainly.delay(f"p{number}")

    def kill(self, randomness: random.Random) -> None:
        number = randomness.randrange(len(self._workers))
        worker = self._workers[number]
        if "Ready" not in worker.log:
            return  # it has nothing to lose yet
        if randomness.random() < WORKER_KILLS:
            worker.signal_group(signal.SIGKILL)
            worker.ended()
            self.killed["worker"] += 1
            self._workers[number] = self._start()
            return
        with suppress(psutil.NoSuchProcess):
            victims = worker.processes()
            if victims:
                os.kill(randomness.choice(victims).pid, signal.SIGKILL)
                self.killed["child or keeper"] += 1


@pytest.mark.timeout(LONG)
@on_sql
def test_what_an_atomic_job_writes_is_there_once_whoever_is_killed(site: Site, database_alias: str) -> None:
    randomness = random.Random(KILLS)
    chaos = Chaos(site)
    while chaos.killed.total() < KILLS:
        chaos.feed()
        time.sleep(randomness.uniform(0.0, 0.25))  # the moment of the kill, not a wait for anything
        chaos.kill(randomness)
    everything = {**chaos.atomic, **chaos.plain}

    ends = {key: site.stored(result, seconds=120) for key, result in everything.items()}
    until(lambda: not _live_jobs(), 60, what=lambda: f"the end of {stores.broker.list()} of {stores.broker.sessions()}")

    rows = paid(database_alias)
    assert {key: end.status for key, end in ends.items() if end.status is not State.SUCCEEDED} == {}
    assert {key: rows[key, "paid"] for key in chaos.atomic if rows[key, "paid"] != 1} == {}
    assert {key: rows[key, "receipt"] for key in chaos.atomic if rows[key, "receipt"] != 1} == {}
    runs = {key: rows[key, "paid plainly"] for key in chaos.plain}
    assert {key: n for key, n in runs.items() if not 1 <= n <= 1 + recorded(ends[key])} == {}
    hit = sum(recorded(ends[key]) > 0 for key in chaos.atomic)
    twice = sum(n > 1 for n in runs.values())
    sys.stderr.write(
        f"\n{site.database.kind}: killed {dict(chaos.killed)}. {len(chaos.atomic)} atomic jobs, {hit} of them cut "
        f"short, each paid once. {len(runs)} plain ones, {twice} of them paid more than once, each with its causes.\n"
    )


def recorded(end: StoredResult) -> int:
    """Return how many causes of a further start are on record."""
    causes = Counter(record.cause for record in load(end.attempts))
    assert set(causes) <= {"crash", "session death", "interrupted", "forgotten"}, causes
    return causes.total()


def _live_jobs() -> int:
    return sum(s.queued + s.running + s.scheduled + s.retrying + s.parked for s in stores.broker.stats())


@on_sql
def test_of_a_failed_run_nothing_is_left_but_the_failure(site: Site, database_alias: str) -> None:
    site.worker("-c", "1").ready()

    failed = site.stored(atomic.pay_and_fail.delay("f"))
    second = atomic.pay_at_the_second_try.delay("s")

    assert second.get(timeout=20) is None
    assert (failed.status, failed.error_class) == (State.FAILED, "ValueError")
    assert [record.cause for record in second.attempts] == ["failure"]
    assert paid(database_alias) == {("s", "paid"): 1}
    assert _live_jobs() == 0


@pytest.mark.parametrize(
    ("task", "stays", "word"), [(atomic.pay_and_commit, 1, "COMMIT"), (atomic.pay_and_close, 0, "closed")]
)
@on_sql
def test_a_job_that_ends_its_own_transaction_has_failed_and_does_not_run_again(
    site: Site, database_alias: str, task: Task[..., None], stays: int, word: str
) -> None:
    site.worker("-c", "1").ready()

    stored = site.stored(task.delay("c"))

    assert (stored.status, stored.error_class) == (State.FAILED, "django_jobs.exceptions.TransactionBroken")
    assert word in stored.error_message
    assert paid(database_alias).total() == stays
    assert atomic.pay.delay("after").get(timeout=20) == "after"


@on_sql
def test_callbacks_follow_the_commit_and_cannot_undo_it(site: Site, database_alias: str) -> None:
    worker = site.worker("-c", "1").ready()

    assert atomic.pay_and_tell.delay("t").get(timeout=20) is None
    assert atomic.pay_and_tell_badly.delay("b").get(timeout=20) is None

    assert paid(database_alias) == {("t", "paid"): 1, ("b", "paid"): 1}
    until(lambda: site.ledger("told", "t"), what="the callback")
    worker.says("is committed, but a callback of on_commit has failed")


@on_sql
def test_keys_and_places_are_free_once_an_atomic_job_has_ended(site: Site, database_alias: str) -> None:
    site.worker("-c", "2").ready()

    for number in range(5):
        assert atomic.pay_once_at_a_time.delay("same").get(timeout=20) is None
        assert paid(database_alias)["same", "paid"] == number + 1


@on_sql
def test_a_job_that_is_not_its_worker_s_any_more_commits_nothing(site: Site, database_alias: str) -> None:
    """A worker that slept through its death wakes up inside of a job, whose settle is refused."""
    if site.database.kind == "sqlite":
        pytest.skip("who sleeps with SQLite's one write lock stops everybody, and so cannot be declared dead")
    frozen = site.worker("-c", "1").ready()
    gate = site.gate()
    result = atomic.pay_and_wait.delay("z", str(gate))
    site.started("z")
    site.worker("-c", "1").ready()

    frozen.signal_group(signal.SIGSTOP)
    try:
        site.started("z", times=2)
        gate.touch()
        stored = site.stored(result)
    finally:
        frozen.signal_group(signal.SIGCONT)
    frozen.says("new session")

    assert [record.cause for record in load(stored.attempts)] == ["session death"]
    assert jobs.note.delay("alive").get(timeout=20) == "alive"
    assert paid(database_alias) == {("z", "paid"): 1}


@on_sql
def test_a_connection_that_breaks_under_a_job_costs_it_a_run_and_nothing_else(site: Site, database_alias: str) -> None:
    if site.database.kind == "sqlite":
        pytest.skip("SQLite has no connection that could break")
    site.worker("-c", "1").ready()

    result = atomic.pay_and_lose_the_connection.delay("l")

    assert result.get(timeout=20) is None
    assert [(record.cause, record.error_class) for record in result.attempts] == [
        ("interrupted", "django_jobs.ports.atomic.AtomicUndone")
    ]
    assert paid(database_alias) == {("l", "paid"): 1}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.timeout(180)
def test_who_waits_for_a_long_atomic_job_on_sqlite_is_not_taken_for_dead(site: Site, database_alias: str) -> None:
    """It has the one write lock: neither the keeper nor the other child is killed for waiting."""
    worker = site.worker("-c", "2").ready()
    before = {process.pid for process in worker.processes()}
    gate = site.gate()
    result = atomic.pay_and_wait.delay("long", str(gate))
    start = site.started("long")

    until(lambda: time.monotonic() > start.at + 8.0, what="eight seconds")  # a keeper without a sign has five
    assert {process.pid for process in worker.processes()} == before
    gate.touch()

    assert result.get(timeout=20) is None
    assert paid(database_alias) == {("long", "paid"): 1}
    assert result.attempts == []
    assert "no sign" not in worker.log
