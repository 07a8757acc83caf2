"""Atomic jobs on the database: the job's own connection also deletes its claim, by the fence, in its transaction.

The settle comes last, so that until then no row of the job is locked: cancels, start marks and progress go on, and
whoever asks for the claim meanwhile waits only for the commit. A savepoint at the start tells at the end whether it
still is the same transaction.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final

import msgspec
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.backends.database import ledger
from django_jobs.backends.database.connection import SQLITE_PAUSE_SECONDS, Connection, is_retryable
from django_jobs.backends.database.engines import make_engine, shifts_us
from django_jobs.core.outcome import Outcome
from django_jobs.core.policy import Policy
from django_jobs.exceptions import TransactionBroken
from django_jobs.ports.atomic import AtomicRuns, AtomicUndone

logger = logging.getLogger("django_jobs.worker")

SAVEPOINT: Final = "django_jobs_atomic"
NO_SAVEPOINT_SQLSTATES: Final = frozenset({"3B001", "25P01"})
NO_SAVEPOINT_CODE: Final = 1305
UNREACHABLE: Final = (OperationalError, InterfaceError)


class DatabaseAtomicRuns(AtomicRuns):
    """Shared by the threads of a process: each has a connection of its own."""

    def __init__(self, policy: Policy, may_commit: Callable[[], bool]) -> None:
        self._alias = policy.database
        self._engine = make_engine(Connection(policy.database, own=False), policy)
        self._engine.channel = policy.namespace
        self._may_commit = may_commit

    def run(self, work: Callable[[], Outcome]) -> Outcome:
        wrapper = connections[self._alias]
        run = _Run()
        try:
            with _transaction(wrapper):
                run.begin(wrapper)
                outcome = run.work(work)
                self._settle(wrapper, outcome)
                run.stage = Stage.COMMITTING
        except Exception as error:
            if run.is_committed:
                _log_callback(outcome, error)
            elif run.stage is Stage.WORKING or not isinstance(error, UNREACHABLE):
                raise
            else:
                raise AtomicUndone(_why(error, run.stage)) from error
        return msgspec.structs.replace(outcome, settled=True)

    def _settle(self, wrapper: BaseDatabaseWrapper, outcome: Outcome) -> None:
        _check_is_same(wrapper)
        # The one write lock of SQLite, which this transaction holds, stops renewals and rescuers alike.
        if wrapper.vendor != "sqlite" and not self._may_commit():
            raise AtomicUndone(
                "The worker's session was not renewed in time, so that others may take the job: it was rolled back."
            )
        self._engine.shift_us = shifts_us.get(self._alias, 0)
        with wrapper.cursor() as cursor:
            if ledger.settle(self._engine, cursor, [outcome]):
                raise AtomicUndone("The job is not this worker's any more: what it wrote was rolled back.")


class Stage(Enum):
    """How far a run has come: whose fault an error of the database is, and what it leaves."""

    BEGINNING = 1
    WORKING = 2
    SETTLING = 3
    COMMITTING = 4


class _Run:
    """One run. Tells a commit that failed from one that was done, after which a callback of `on_commit` has raised."""

    def __init__(self) -> None:
        self.stage = Stage.BEGINNING
        self.is_committed = False

    def begin(self, wrapper: BaseDatabaseWrapper) -> None:
        if len(wrapper.atomic_blocks) == 1:  # inside the caller's transaction nothing is committed here
            wrapper.on_commit(self._note_commit)
        with wrapper.cursor() as cursor:
            cursor.execute(f"SAVEPOINT {SAVEPOINT}")

    def work(self, work: Callable[[], Outcome]) -> Outcome:
        self.stage = Stage.WORKING
        outcome = work()
        self.stage = Stage.SETTLING
        return outcome

    def _note_commit(self) -> None:
        self.is_committed = True


@contextmanager
def _transaction(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """Begin as Django does, or make a savepoint; on SQLite with the write lock, which the settle needs for certain."""
    if wrapper.vendor != "sqlite" or wrapper.in_atomic_block:
        with transaction.atomic(using=wrapper.alias):
            yield
        return
    block = _begin_immediate(wrapper)
    try:
        yield
    except BaseException as error:
        block.__exit__(type(error), error, error.__traceback__)
        raise
    block.__exit__(None, None, None)


def _begin_immediate(wrapper: Any) -> transaction.Atomic:
    """Wait for the write lock as long as it takes: nothing of the job has run yet."""
    mode = wrapper.transaction_mode
    while True:
        block = transaction.Atomic(using=wrapper.alias, savepoint=True, durable=False)
        wrapper.transaction_mode = "IMMEDIATE"
        try:
            block.__enter__()
        except OperationalError as error:
            if not is_retryable(error):
                raise
        else:
            return block
        finally:
            wrapper.transaction_mode = mode
        time.sleep(random.uniform(*SQLITE_PAUSE_SECONDS))


def _check_is_same(wrapper: BaseDatabaseWrapper) -> None:
    """Refuse a transaction that the job has ended, or has lost with its connection."""
    if wrapper.closed_in_transaction:
        raise TransactionBroken(
            f"The job has closed the connection {wrapper.alias!r}, and its transaction with it: what it wrote there is "
            "lost. An atomic job must not close the connection of its own transaction."
        )
    try:
        with wrapper.cursor() as cursor:
            cursor.execute(f"RELEASE SAVEPOINT {SAVEPOINT}")
    except DatabaseError as error:
        if not _is_no_savepoint(error):
            raise
        raise TransactionBroken(
            f"The job has ended its own transaction on {wrapper.alias!r} (COMMIT, ROLLBACK, or a statement that "
            "commits, as DDL does on MariaDB). What it committed is stored and cannot be taken back, so that the job "
            "has failed and does not run again. Leave the transaction of an atomic job alone, or drop atomic=True."
        ) from error


def _is_no_savepoint(error: DatabaseError) -> bool:
    if getattr(error.__cause__, "sqlstate", None) in NO_SAVEPOINT_SQLSTATES:
        return True
    return bool(error.args and error.args[0] == NO_SAVEPOINT_CODE) or "no such savepoint" in str(error)


def _why(error: Exception, stage: Stage) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if stage is Stage.COMMITTING:
        return f"The database did not answer the commit ({text}): the job runs again unless it was done."
    return f"The database failed outside of the job's own queries ({text}): nothing of the job is stored."


def _log_callback(outcome: Outcome, error: Exception) -> None:
    logger.error(
        "Job %s is committed, but a callback of on_commit has failed; those after it were not called.",
        outcome.id,
        exc_info=error,
        extra={"job_id": outcome.id},
    )
