"""How an idle worker of the database broker learns of a new job."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest
from django.db import connections

from django_jobs.backends.database import DatabaseBroker
from django_jobs.core.policy import Policy
from django_jobs.testing.child import make_message

LONG_SECONDS: Final = 20.0
SOON_SECONDS: Final = 5.0
"""Far above what a hint takes, far below the time-out that it cuts short."""


@pytest.fixture
def producer(database_alias: str) -> DatabaseBroker:
    with connections[database_alias].cursor() as cursor:
        for table in ("job", "ready", "due", "claimed"):
            cursor.execute(f"DELETE FROM django_jobs_{table}")
    return DatabaseBroker(Policy(database=database_alias))


@pytest.fixture
def idle(producer: DatabaseBroker) -> Iterator[DatabaseBroker]:
    broker = producer.own()
    broker.wait(None, 0.05)  # connects, and proves LISTEN
    yield broker
    broker.close()


def seconds_waited(broker: DatabaseBroker, queues: tuple[str, ...] | None = None, *, timeout_seconds: float) -> float:
    begun = time.monotonic()
    broker.wait(queues, timeout_seconds)
    return time.monotonic() - begun


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_job_that_arrives_during_the_wait_ends_it(producer: DatabaseBroker, idle: DatabaseBroker) -> None:
    waited: list[float] = []
    thread = threading.Thread(target=lambda: waited.append(seconds_waited(idle, timeout_seconds=LONG_SECONDS)))
    thread.start()
    producer.enqueue_many([make_message()])
    thread.join(LONG_SECONDS)
    assert waited[0] < SOON_SECONDS


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_notification_that_came_with_another_answer_is_not_lost(
    producer: DatabaseBroker, idle: DatabaseBroker
) -> None:
    producer.enqueue_many([make_message()])
    assert idle.stats(), "its answer brings the notification along"
    assert seconds_waited(idle, timeout_seconds=LONG_SECONDS) < SOON_SECONDS


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_other_queues_wake_nobody(producer: DatabaseBroker, idle: DatabaseBroker) -> None:
    producer.enqueue_many([make_message(queue="other")])
    assert seconds_waited(idle, ("default",), timeout_seconds=0.3) >= 0.3
    producer.enqueue_many([make_message(queue="default")])
    assert seconds_waited(idle, ("default",), timeout_seconds=LONG_SECONDS) < SOON_SECONDS


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_polls_grow_apart_and_begin_anew_with_work(producer: DatabaseBroker, idle: DatabaseBroker) -> None:
    waits = [seconds_waited(idle, timeout_seconds=LONG_SECONDS) for _ in range(12)]
    assert waits[0] < waits[-1] < 1.0
    idle._wakeup.found_work()
    assert seconds_waited(idle, timeout_seconds=LONG_SECONDS) < waits[-1]


def test_the_wake_pipe_ends_a_wait(idle: DatabaseBroker) -> None:
    read_fd, write_fd = os.pipe()
    try:
        os.write(write_fd, b".")
        begun = time.monotonic()
        idle.wait(None, LONG_SECONDS, read_fd)
        assert time.monotonic() - begun < SOON_SECONDS
    finally:
        os.close(read_fd)
        os.close(write_fd)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_cut_connection_is_told_and_the_next_wait_listens_again(
    producer: DatabaseBroker, idle: DatabaseBroker, database_alias: str
) -> None:
    with connections[database_alias].cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(ConnectionError):
        idle.stats()
    idle.wait(None, 0.05)
    producer.enqueue_many([make_message()])
    assert seconds_waited(idle, timeout_seconds=LONG_SECONDS) < SOON_SECONDS
