"""The job's database connections before and after it: usable, in autocommit, and with nothing left open."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_jobs.core.claim import Claim

logger = logging.getLogger("django_jobs.worker")


_thread = threading.local()


def before_job() -> list[BaseDatabaseWrapper]:
    """Make this thread's open connections fit for a job; return those that are inside a block of the caller's.

    Inside a TestCase the caller's block is the test's own transaction: it is left alone.
    """
    inside: list[BaseDatabaseWrapper] = []
    for connection in _open_here():
        if connection.in_atomic_block:
            inside.append(connection)
            continue
        connection.queries_log.clear()
        connection.close_if_unusable_or_obsolete()
    return inside


def after_job(inside: list[BaseDatabaseWrapper], claim: Claim) -> None:
    """Roll back and close what the job left open, and give back what Django would close at the end of a request."""
    opened = _open_here()
    if not opened:
        return
    for connection in opened:
        if connection in inside:
            continue
        if connection.in_atomic_block:
            _abandon(connection, f"{_job(claim)} returned inside transaction.atomic(); its block was rolled back")
        elif connection.connection is not None and lost_autocommit(connection):
            _abandon(connection, f"{_job(claim)} left autocommit off; its transaction was rolled back")
        else:
            connection.close_if_unusable_or_obsolete()
        if connection.connection is None:
            connection.queries_log.clear()
    _thread.opened = [connection for connection in opened if connection.connection is not None]


def _open_here() -> list[BaseDatabaseWrapper]:
    """Return the project's connections that this thread has open.

    Kept by Django's signal: asking the handler costs 3 us per job, and most jobs open nothing.
    """
    opened: list[BaseDatabaseWrapper] | None = getattr(_thread, "opened", None)
    if opened is None:
        found = connections.all(initialized_only=True)
        opened = _thread.opened = [connection for connection in found if connection.connection is not None]
    return opened


def _on_created(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    alias = connection.alias
    if alias not in connections or connections[alias] is not connection:
        return  # a copy, as our own stores have: no job may close that
    opened = _open_here()
    if not any(known is connection for known in opened):
        opened.append(connection)


connection_created.connect(_on_created, dispatch_uid="django_jobs.execution.hygiene")


def tidy_shared(claim: Claim, *, is_shared: Callable[[], bool]) -> None:
    """Do the same after a coroutine job, in the thread whose connections all coroutine jobs share.

    While `is_shared`, what is only old stays open: another job may be about to read on.
    """
    whose = f"{_job(claim)}, or a coroutine job beside it,"
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            _abandon(connection, f"{whose} left transaction.atomic() open across an await; it was rolled back")
        elif connection.connection is not None and lost_autocommit(connection):
            _abandon(connection, f"{whose} left autocommit off; its transaction was rolled back")
        elif not is_shared():
            connection.close_if_unusable_or_obsolete()
        elif connection.errors_occurred:
            if connection.is_usable():
                connection.errors_occurred = False
            else:
                connection.close()


def _job(claim: Claim) -> str:
    return f"{claim.message.task} {claim.message.id}"


def lost_autocommit(connection: BaseDatabaseWrapper) -> bool:
    """Say whether somebody has turned autocommit off and not on again."""
    return not connection.autocommit and bool(connection.settings_dict["AUTOCOMMIT"])


def _abandon(connection: BaseDatabaseWrapper, why: str) -> None:
    logger.warning("%s (database alias %r). Use `with transaction.atomic():` so that it ends.", why, connection.alias)
    # Closing rolls back in every database; the flags go first, else Django keeps the alias unusable until a
    # block that will never end has ended.
    connection.in_atomic_block = False
    connection.savepoint_ids = []
    connection.needs_rollback = False
    try:
        connection.rollback()
        connection.set_autocommit(True)
    except Exception:  # the driver's own errors: the server drops the transaction with the connection
        logger.warning("Rolling back on the database alias %r failed.", connection.alias, exc_info=True)
    finally:
        connection.close()  # SQLite in memory stays open: hence the two lines before
