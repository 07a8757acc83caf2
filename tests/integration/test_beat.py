"""Real beats: several at a time, killed, held up and cut off; and a worker with one in it.

    BEAT_SOAK_SECONDS=60 pytest tests/integration/test_beat.py -k killed

runs the long form of the first two tests; their figures are printed with `-s`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import psutil
import pytest
from django.db import connections as databases

from django_jobs import AsyncResult
from django_jobs.connections import connections as stores
from django_jobs.core.outcome import JobView
from django_jobs.core.schedule import from_us, tick_id, to_us
from django_jobs.models import PeriodicSchedule
from django_jobs.models.schedule import PeriodicScheduleQuerySet
from tests.integration.harness import Site, until
from tests.integration.test_databases import alias_of, cut_connections
from tests.services import DATABASE_KINDS

SOAK_SECONDS: Final = float(os.environ.get("BEAT_SOAK_SECONDS", "12"))
KILL_SECONDS: Final = 3.0
SCHEDULES: Final = 20
NOTE: Final = "tests.integration.site.jobs.note"


def rows(site: Site) -> PeriodicScheduleQuerySet:
    return PeriodicSchedule.objects.using(alias_of(site))


def add(site: Site, name: str, **fields: Any) -> PeriodicSchedule:
    return rows(site).create(name=name, **{"task": NOTE, "args": f'["{name}"]', "interval_seconds": 1.0, **fields})


def jobs() -> list[JobView]:
    """Return what waits in the broker."""
    return stores.broker.list(limit=100_000)


def has_jobs(count: int) -> bool:
    return len(jobs()) >= count


def lateness(site: Site, name: str) -> dict[int, float]:
    """Return tick (seconds since 1970) -> seconds until its job was there, by the broker's clock."""
    by_id = {view.id: view.enqueued_us for view in jobs()}
    last_us = rows(site).get(name=name).last_run_us
    assert last_us is not None
    ticks = range(last_us // 1_000_000 - round(SOAK_SECONDS) - 120, last_us // 1_000_000 + 1)
    named = {tick: tick_id(name, tick * 1_000_000) for tick in ticks}
    return {tick: by_id[job_id] / 1e6 - tick for tick, job_id in named.items() if job_id in by_id}


def is_past(instant: float) -> bool:
    return time.monotonic() > instant


@pytest.mark.parametrize("database", DATABASE_KINDS, indirect=True)
@pytest.mark.timeout(SOAK_SECONDS * 2 + 180)
def test_of_three_beats_one_is_killed_again_and_again_and_each_tick_makes_one_job(site: Site) -> None:
    names = [f"s{number}" for number in range(SCHEDULES)]
    for name in names:
        add(site, name)
    beats = [site.beat().ready() for _ in range(3)]
    until(lambda: not rows(site).filter(last_run_us=None).exists(), what=site.said)
    begun, end = time.time(), time.monotonic() + SOAK_SECONDS
    kills: list[float] = []
    while (now := time.monotonic()) < end:
        until(partial(is_past, min(end, now + KILL_SECONDS)))
        if now + KILL_SECONDS <= end:
            beats[0].kill()
            kills.append(time.time())
            beats = [*beats[1:], site.beat()]
    for beat in beats:
        beat.ready().stop()  # before that it takes no signal
        assert beat.ended(5) == 0, site.said()

    late: dict[tuple[str, int], float] = {}
    for name in names:
        found = lateness(site, name)
        assert list(found) == list(range(min(found), max(found) + 1)), f"{name} lacks a tick; {site.said()}"
        assert len(found) >= SOAK_SECONDS - 1
        late |= {(name, tick): seconds for tick, seconds in found.items()}
    assert len(jobs()) == len(late), "a job that belongs to no tick"
    ready = {key: seconds for key, seconds in late.items() if key[1] > begun}  # three processes took time to start
    calm = [seconds for (_, tick), seconds in ready.items() if not any(-1 < kill - tick < 1 for kill in kills)]
    p99, p99_of_all = (quantiles(values, n=100)[98] for values in (calm, ready.values()))
    told = f"{len(late)} ticks, {len(kills)} kills, p99 {p99:.3f} s outside of failovers, {p99_of_all:.3f} s of all"
    print(f"{site.database.kind}: {told}")  # noqa: T201
    assert p99 < 1.0, told
    assert "Traceback" not in site.said()


def test_an_edit_takes_effect_within_a_second(site: Site) -> None:
    row = add(site, "later", interval_seconds=None, crontab="0 0 1 1 *")
    site.beat().ready()
    until(lambda: rows(site).exclude(next_run_us=None).exists())

    edited = time.monotonic()
    rows(site).filter(pk=row.pk).update(crontab="", interval_seconds=1.0)
    rows(site).filter(pk=row.pk).replan()
    until(lambda: rows(site).filter(next_run_us__lt=to_us(datetime.now(UTC) + timedelta(seconds=3))).exists())
    assert time.monotonic() - edited < 1.6  # the look each second, and what the machine takes
    until(jobs)


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Let no other connection use the table of schedules."""
    table = PeriodicSchedule._meta.db_table
    connection = databases[alias_of(site)].copy()
    connection.inc_thread_sharing()
    begin = {
        "sqlite": "BEGIN EXCLUSIVE",
        "postgres": f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        "mysql": f"LOCK TABLES {table} WRITE",
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(begin[site.database.kind])
            yield
    finally:
        connection.close()


@pytest.mark.parametrize("database", DATABASE_KINDS, indirect=True)
def test_a_beat_that_a_database_holds_up_stops_within_two_seconds(site: Site) -> None:
    add(site, "s")
    beat = site.beat().ready()
    until(jobs, what=site.said)
    with locked(site):
        until(partial(is_past, time.monotonic() + 1.5))  # long enough for a step to wait for the lock
        begun = time.monotonic()
        beat.stop()
        assert beat.ended(5) == 0
        assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_cut_connections_lose_no_tick(site: Site) -> None:
    add(site, "s")
    beats = [site.beat().ready() for _ in range(2)]
    until(jobs)
    for count in range(2, 7):
        cut_connections(site)
        until(partial(has_jobs, count), what=site.said)
    for beat in beats:
        beat.stop()
        assert beat.ended(5) == 0
    found = lateness(site, "s")
    assert list(found) == list(range(min(found), max(found) + 1))
    assert len(found) == len(jobs())


def test_once_fires_what_is_due_and_ends(site: Site) -> None:
    """A tick that was missed while nothing ran fires at the next run of the command."""
    entry = {"task": NOTE, "schedule": "0 0 1 1 *", "args": ["s"], "time_zone": "UTC"}
    settings = {"SCHEDULES": {"s": entry, "bad": {**entry, "schedule": "61 * * * *"}}}
    assert site.beat("--once", settings=settings).ended() == 0
    assert jobs() == []
    last_year = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
    assert rows(site).update(next_run_us=to_us(last_year)) == 1

    assert site.beat("--once", settings=settings).ended() == 0

    assert [view.id for view in jobs()] == [tick_id("s", to_us(last_year))]
    row = rows(site).get()
    assert (row.last_run_at, row.next_run_at) == (last_year, last_year.replace(year=last_year.year + 1))
    assert "SCHEDULES']['bad'] cannot be used" in site.said()


# -- a worker with a beat in it ------------------------------------------------------------------------------------


EVERY_SECOND: Final = {"SCHEDULES": {"s": {"task": NOTE, "schedule": 1, "args": ["s"]}}}


def pids(log: str) -> list[int]:
    """Return the process ids of the beats that a worker has started."""
    return [
        int(line.rsplit("process ", 1)[1].rstrip(".")) for line in log.splitlines() if "The beat is process" in line
    ]


def test_a_worker_with_a_beat_runs_what_the_schedules_say(site: Site) -> None:
    worker = site.worker("-c", "1", "--beat", settings=EVERY_SECOND).ready()
    until(lambda: len(site.ledger("ran")) >= 3, what=site.said)

    begun = time.monotonic()
    worker.stop()

    assert worker.ended(5) == 0
    assert time.monotonic() - begun < 3
    last_us = rows(site).get().last_run_us
    assert last_us is not None
    ran = len(site.ledger("ran"))
    waiting = len(jobs())
    first = next(n for n in range(1000) if not is_known(site, last_us - n * 1_000_000)) - 1
    assert ran + waiting == first + 1, f"{from_us(last_us)} {site.said()}"


def is_known(site: Site, tick_us: int) -> bool:
    """Say whether the job of a tick lives or has ended."""
    return AsyncResult(tick_id("s", tick_us)).status is not None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_worker_replaces_its_beat(site: Site) -> None:
    worker = site.worker("-c", "1", "--beat", settings=EVERY_SECOND).ready()
    until(lambda: site.ledger("ran"), what=site.said)
    (first,) = pids(worker.log)

    os.kill(first, signal.SIGKILL)

    until(lambda: len(pids(worker.log)) == 2, what=site.said)
    ran = len(site.ledger("ran"))
    until(lambda: len(site.ledger("ran")) >= ran + 2, what=site.said)
    assert "The beat has ended (SIGKILL); it is replaced." in worker.log
    assert "Child process" not in worker.log
    worker.stop()
    assert worker.ended(5) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_beat_of_a_killed_worker_dies_with_it(site: Site, tmp_path: Path) -> None:
    worker = site.worker("-c", "1", "--beat", settings=EVERY_SECOND).ready()
    until(lambda: site.ledger("ran"), what=site.said)
    family = worker.processes()
    assert pids(worker.log)[0] in {process.pid for process in family}

    worker.kill()

    _gone, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
