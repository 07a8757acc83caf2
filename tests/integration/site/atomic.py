"""Jobs that pay: each writes a row of a table of the project's, and enqueues a job that writes another."""

from __future__ import annotations

import random
import time
from pathlib import Path

from django.db import connection, transaction

from django_jobs import current_job, job
from tests.integration.site.ledger import write

TABLE = "site_payments"
CREATE = f"CREATE TABLE {TABLE} (id VARCHAR(64) NOT NULL, event VARCHAR(20) NOT NULL)"
"""Without a key: a payment made twice is two rows, not an error."""


def record(key: str, event: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (id, event) VALUES (%s, %s)", [key, event])


def _attempt() -> int:
    request = current_job()
    assert request is not None
    return request.attempt


@job(atomic=True)
def send_receipt(key: str) -> None:
    record(key, "receipt")


@job(atomic=True)
def pay(key: str) -> str:
    """Take up to 60 ms, so that a kill hits each moment: before, between, in the settle, in the commit."""
    record(key, "paid")
    time.sleep(random.uniform(0, 0.06))
    send_receipt.delay(key)
    return key


@job
def pay_plainly(key: str) -> str:
    """Do the same without a transaction around it."""
    record(key, "paid plainly")
    time.sleep(random.uniform(0, 0.06))
    return key


@job(atomic=True)
def pay_and_fail(key: str) -> None:
    record(key, "paid")
    send_receipt.delay(key)
    raise ValueError(key)


@job(atomic=True, retry_on=(ValueError,), default_retry_delay=0.1)
def pay_at_the_second_try(key: str) -> None:
    record(key, "paid")
    request = current_job()
    assert request is not None
    if not request.retries:
        raise ValueError(key)


@job(atomic=True)
def pay_and_wait(key: str, gate: str) -> None:
    record(key, "paid")
    write("start", key, _attempt())
    while not Path(gate).exists():
        time.sleep(0.01)


@job(atomic=True)
def pay_and_commit(key: str) -> None:
    record(key, "paid")
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")


@job(atomic=True)
def pay_and_close(key: str) -> None:
    record(key, "paid")
    connection.close()


@job(atomic=True)
def pay_and_tell(key: str) -> None:
    record(key, "paid")
    transaction.on_commit(lambda: write("told", key))


@job(atomic=True)
def pay_and_tell_badly(key: str) -> None:
    record(key, "paid")
    transaction.on_commit(lambda: 1 // 0)


@job(atomic=True, unique=True, concurrency=1)
def pay_once_at_a_time(key: str) -> None:
    record(key, "paid")


@job(atomic=True)
def pay_and_lose_the_connection(key: str) -> None:
    """In its first run end the session of this very connection on the server, as an administrator would."""
    record(key, "paid")
    write("start", key, _attempt())
    if _attempt() > 1:
        return
    other = connection.copy()
    with other.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        else:
            cursor.execute(f"KILL {connection.connection.thread_id()}")
    other.close()
