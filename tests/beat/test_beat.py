"""What one step of a beat does, on each database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db import connections as database_connections

from django_jobs.backends.memory import MemoryBroker
from django_jobs.client import producer
from django_jobs.connections import connections
from django_jobs.core.message import Message, decode_body
from django_jobs.core.schedule import tick_id, to_us
from django_jobs.models import Job
from django_jobs.signals import beat_ticked, job_enqueued
from tests.beat.conftest import Site
from tests.beat.times import NOON, minute


def test_a_new_row_is_planned_from_now_and_fires_at_its_tick(site: Site) -> None:
    site.add("m", args="[1]", kwargs='{"left": 2}', priority=7, expires_seconds=30.0)
    beat = site.beat()
    site.advance(0.25)

    assert site.settle(beat) == 1.0
    assert (site.rows.get().next_run_at, site.jobs()) == (minute(1), [])
    site.advance(59.25)
    assert beat.step() == 0.5  # until the tick
    site.advance(0.75)
    site.settle(beat)

    row, (job,) = site.rows.get(), site.jobs()
    assert (job.id, job.task, job.queue, job.priority) == (tick_id("m", to_us(minute(1))), "tests.tick", "ticks", 7)
    stored = Job.objects.using(site.alias).get()
    body = decode_body(stored.body)
    assert (body.args, body.kwargs) == ((1,), {"left": 2})
    assert body.headers == {"schedule": "m", "scheduled_for": minute(1).isoformat()}
    assert stored.expires_us == stored.enqueued_us + 30_000_000
    assert (row.last_run_at, row.last_job_id, row.next_run_at) == (minute(1), job.id, minute(2))


def test_the_rows_own_queue_goes_before_the_tasks(site: Site) -> None:
    site.add("m", queue="slow")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    site.settle(beat)
    assert [job.queue for job in site.jobs()] == ["slow"]


def test_a_crontab_reads_the_clocks_of_its_zone(site: Site) -> None:
    site.add("kathmandu", crontab="0 9 * * *", time_zone="Asia/Kathmandu")
    site.add("utc", crontab="0 9 * * *")
    site.settle(site.beat())
    planned = {row.name: row.next_run_at for row in site.rows.all()}
    assert planned == {"kathmandu": NOON.replace(day=2, hour=3, minute=15), "utc": NOON.replace(day=2, hour=9)}


def test_ticks_up_to_ten_seconds_late_fire_each_and_in_order(site: Site) -> None:
    site.add("s", interval_seconds=1.0)
    beat = site.beat()
    site.settle(beat)
    site.advance(10)

    site.settle(beat)

    assert [job.id for job in site.jobs()] == [tick_id("s", to_us(NOON) + n * 1_000_000) for n in range(1, 11)]


def test_older_ticks_fire_once_together(site: Site) -> None:
    site.add("s", interval_seconds=1.0)
    beat = site.beat()
    site.settle(beat)
    site.advance(3600)

    site.settle(beat)

    ticks = [1, *range(3590, 3601)]
    assert [job.id for job in site.jobs()] == [tick_id("s", to_us(NOON) + n * 1_000_000) for n in ticks]


def test_a_clock_that_is_put_back_fires_nothing_again(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    site.settle(beat)
    site.advance(-600)
    for _ in range(10):
        site.settle(beat)
        assert len(site.jobs()) == 1
        site.advance(60)
    site.advance(60)
    site.settle(beat)
    assert [job.id for job in site.jobs()] == [tick_id("m", to_us(minute(number))) for number in (1, 2)]


def test_of_two_beats_that_have_read_a_row_one_moves_it(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    entries = site.beat()._entries
    late = entries.entry(site.rows.get(), site.now_us)
    assert late is not None

    site.settle(beat)

    assert entries.move(late, "another-job") is False
    assert site.rows.get().last_job_id == tick_id("m", to_us(minute(1)))
    site.settle(site.beat())
    assert len(site.jobs()) == 1


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_a_row_that_another_beat_has_locked_is_left_to_it(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    other = database_connections[site.alias].copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT name FROM django_jobs_periodicschedule WHERE name = 'm' FOR UPDATE")
        assert beat.step() == 0.2
        assert site.jobs() == []
        cursor.execute("ROLLBACK")
    other.close()
    site.settle(beat)
    assert len(site.jobs()) == 1


def test_a_tick_whose_job_is_there_already_is_no_second_job(site: Site) -> None:
    """As after a row was restored from a backup."""
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    before = site.rows.values().get()
    site.advance(60)
    site.settle(beat)
    site.rows.update(next_run_us=before["next_run_us"])

    site.settle(beat)

    assert len(site.jobs()) == 1
    assert site.rows.get().next_run_at == minute(2)


def test_a_job_and_the_next_tick_commit_together_or_not_at_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    send = producer.send

    def break_after(messages: Any, **options: Any) -> None:
        send(messages, **options)
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(producer, "send", break_after)
        with pytest.raises(OperationalError):
            beat.step()
    assert (site.jobs(), site.rows.get().next_run_at) == ([], minute(1))

    site.settle(beat)
    assert len(site.jobs()) == 1


# -- a broker elsewhere ----------------------------------------------------------------------------------------------


def test_a_broker_elsewhere_gets_the_tick_first(site: Site, elsewhere: MemoryBroker) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    site.settle(beat)
    site.advance(60)
    site.settle(beat)
    assert list(elsewhere.store.jobs) == [tick_id("m", to_us(minute(number))) for number in (1, 2)]
    assert site.rows.get().next_run_at == minute(3)


def test_a_crash_between_the_broker_and_the_row_is_repeated_without_effect(site: Site, elsewhere: MemoryBroker) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    connections.broker.enqueue_tick("m", to_us(minute(1)), producer_message("m", minute(1)))

    site.settle(beat)

    assert len(elsewhere.store.jobs) == 1
    assert site.rows.get().next_run_at == minute(2)


def producer_message(name: str, at: datetime) -> Message:
    return Message(id=tick_id(name, to_us(at)), task="tests.tick", queue="ticks", body='{"v":1}', id_given=True)


def test_a_broker_elsewhere_is_told_of_once(site: Site, elsewhere: MemoryBroker) -> None:
    told: list[str] = []

    def hear(sender: str, message: Message, **_: Any) -> None:
        told.append(message.id)

    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    row = site.rows.get()
    job_enqueued.connect(hear)
    try:
        assert beat._fire_apart(row, site.now_us) is True
        assert site.beat()._fire_apart(row, site.now_us) is False
    finally:
        job_enqueued.disconnect(hear)
    assert told == [tick_id("m", to_us(minute(1)))]


# -- what it costs, and what it tells --------------------------------------------------------------------------------


def test_an_idle_step_costs_the_same_for_one_schedule_and_for_many(site: Site, query_count: Callable[[], int]) -> None:
    site.add("first", interval_seconds=3600.0)
    beat = site.beat()
    site.settle(beat)
    query_count()
    beat.step()
    of_one = query_count()
    for number in range(50):
        site.add(f"s{number}", interval_seconds=3600.0)
    site.settle(beat)
    query_count()

    beat.step()

    assert query_count() == of_one <= 4


def test_each_tick_is_told_of(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[Any, ...]] = []

    def hear(sender: str, job_id: str, tick_at: datetime, late_seconds: float, **_: Any) -> None:
        assert not transaction.get_connection(site.alias).in_atomic_block
        told.append((sender, job_id, tick_at, late_seconds))

    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60.5)
    beat_ticked.connect(hear)
    try:
        with caplog.at_level(logging.INFO, "django_jobs.beat"):
            site.settle(beat)
    finally:
        beat_ticked.disconnect(hear)

    job_id = tick_id("m", to_us(minute(1)))
    assert told == [("m", job_id, minute(1), 0.5)]
    assert [record.getMessage() for record in caplog.records] == [
        f"Fired m for 2024-01-01T12:01:00+00:00, 0.500 s late: job {job_id} of tests.tick."
    ]


def test_declarations_are_read_once_and_again_after_a_failure(site: Site) -> None:
    calls: list[int] = []

    def declare() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("not yet")

    beat = site.beat(declare=declare)
    with pytest.raises(OperationalError):
        beat.step()
    beat.step()
    beat.step()
    assert len(calls) == 2
