"""A database connection as the stores use it: the project's own of an alias, or one that nobody else shares."""

from __future__ import annotations

import math
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from django.db import DatabaseError, Error, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.exceptions import BrokerFull, BrokerUnavailable, NotMigrated

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS: Final = 3
SQLITE_BUSY_SECONDS: Final = 20.0
"""For what a connection of its own does outside of `transaction`."""
SQLITE_RETRYABLE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
SQLITE_DEFAULT_SECONDS: Final = 5.0
"""Python's busy timeout, where OPTIONS name none."""
SQLITE_PAUSE_SECONDS: Final = (0.0003, 0.002)
"""Between tries while another connection writes. SQLite's own handler sleeps up to 100 ms between its tries, so that
of six writers the unluckiest waited 3.4 s for a lock that is held for a millisecond; with these it waits 0.05 s."""
TRIES_PER_SIGN: Final = 50
SHARED_PATIENCE_SECONDS: Final = 20.0
"""How long an autocommit call of a producer repeats a transaction that SQLite or a deadlock refused."""
DEADLOCK_CODES: Final = frozenset({1205, 1213})
RETRYABLE_SQLSTATES: Final = frozenset({"40001", "40P01", "55P03"})


class Connection:
    """Runs steps on one alias, each in one transaction, repeated where the database asks for it.

    Inside a transaction of the caller's a step joins it and nothing is ever repeated.
    """

    def __init__(self, alias: str, *, own: bool) -> None:
        self.alias = alias
        self.own = own
        self._wrapper: BaseDatabaseWrapper | None = None
        self.on_connect: Callable[[BaseDatabaseWrapper], None] | None = None
        self.on_wait: Callable[[], None] | None = None
        """Called while SQLite's write lock is another's: the wait has no end, and is no sign of death."""

    @property
    def vendor(self) -> str:
        """postgresql, mysql (MariaDB too) or sqlite."""
        return str(connections[self.alias].vendor)

    @property
    def wrapper(self) -> BaseDatabaseWrapper:
        """Django's connection; for one of its own a copy that no handler knows, connected."""
        if not self.own:
            return connections[self.alias]
        if self._wrapper is None:
            self._wrapper = _copy(connections[self.alias])
        if self._wrapper.connection is None:
            self._wrapper.ensure_connection()
            if self.on_connect is not None:
                self.on_connect(self._wrapper)
        return self._wrapper

    @property
    def joins(self) -> bool:
        """Whether a step would run inside a transaction of the caller's."""
        if self.own:
            return False
        wrapper = connections[self.alias]
        if wrapper.connection is None and not wrapper.in_atomic_block:
            return not wrapper.settings_dict["AUTOCOMMIT"]  # asking the wrapper would connect, outside of `errors`
        return wrapper.in_atomic_block or not wrapper.get_autocommit()

    def close(self) -> None:
        """Close a connection of its own; the next step connects again."""
        if self._wrapper is not None:
            self._wrapper.close()
            self._wrapper = None

    def statement(self, step: Callable[[Any], T]) -> T:
        """Run one statement by `step(cursor)` in autocommit (or in the caller's transaction)."""
        return self._repeat(step, begin=None)

    def transaction(self, step: Callable[[Any], T]) -> T:
        """Run `step(cursor)` in one transaction that takes its write lock at the start."""
        if self.joins:
            return self._repeat(step, begin=None)
        return self._repeat(step, begin="BEGIN IMMEDIATE" if self.vendor == "sqlite" else "BEGIN")

    def _repeat(self, step: Callable[[Any], T], *, begin: str | None) -> T:
        deadline = time.monotonic() + SHARED_PATIENCE_SECONDS
        attempt = 0
        while True:
            try:
                with self.errors():
                    return self._once(step, begin)
            except BrokerUnavailable as error:
                if self.joins or not is_retryable(error.__cause__):
                    self._drop_broken()
                    raise
                if not self.own and time.monotonic() > deadline:
                    raise
            attempt += 1
            time.sleep(random.uniform(0.001, min(0.05, 0.002 * 2 ** min(attempt, 6))))

    def _once(self, step: Callable[[Any], T], begin: str | None) -> T:
        wrapper = self.wrapper
        with wrapper.cursor() as cursor:
            if begin is None:
                return step(cursor)
            self._begin(wrapper, cursor, begin)
            try:
                value = step(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                self._roll_back(cursor)
                raise
            return value

    def _begin(self, wrapper: BaseDatabaseWrapper, cursor: Any, begin: str) -> None:
        if wrapper.vendor != "sqlite":
            cursor.execute(begin)
            return
        patience = math.inf if self.own else SHARED_PATIENCE_SECONDS
        raw = wrapper.connection
        with wrapper.wrap_database_errors:
            raw.execute("PRAGMA busy_timeout = 0")
            try:
                wait_for_write_lock(raw, begin, patience_seconds=patience, on_wait=self.on_wait)
            finally:
                raw.execute(f"PRAGMA busy_timeout = {round(_sqlite_timeout_seconds(wrapper) * 1000)}")

    def _roll_back(self, cursor: Any) -> None:
        try:
            cursor.execute("ROLLBACK")
        except DatabaseError:  # the connection is gone, and the transaction with it; or SQLite has rolled back itself
            self._drop_broken()

    def _drop_broken(self) -> None:
        """Close a connection that no longer answers, so that the next step opens another."""
        wrapper = self._wrapper if self.own else connections[self.alias]
        if wrapper is None or wrapper.connection is None or wrapper.in_atomic_block:
            return
        if self.own:
            self.close()
        else:
            wrapper.errors_occurred = True
            wrapper.close_if_unusable_or_obsolete()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the database's errors into ours; an error of the data stays what it is."""
        try:
            with _driver_errors(self.own, self._wrapper or connections[self.alias]):
                yield
        except (OperationalError, InterfaceError) as error:
            raise self._translate(error) from error
        except DatabaseError as error:
            if _is_missing_table(error):
                raise self._translate(error) from error
            raise

    def _translate(self, error: Error) -> Exception:
        place = describe(connections[self.alias])
        if _is_missing_table(error):
            database = "" if self.alias == "default" else f" --database {self.alias}"
            return NotMigrated(
                f"The tables of django_jobs do not exist or are not up to date in {place}: {_first_line(error)}. "
                f"Run: manage.py migrate{database}. The job was NOT queued."
            )
        text = str(error).lower()
        if "disk is full" in text or "database or disk" in text or "no space left" in text:
            return BrokerFull(
                f"{place} has no room left: {_first_line(error)}. Nothing was queued; free some space and try again."
            )
        return BrokerUnavailable(f"Cannot use the job broker {place}: {_first_line(error)}.{self._known()}")

    def _known(self) -> str:
        """What a producer wants to know; a worker's own connection enqueues nothing."""
        if self.own:
            return ""
        if self._connected():
            return " It is not known whether the last write was done."
        return " The job was NOT queued."

    def _connected(self) -> bool:
        wrapper = self._wrapper if self.own else connections[self.alias]
        return wrapper is not None and wrapper.connection is not None


def describe(wrapper: BaseDatabaseWrapper) -> str:
    """Name a database without its password: vendor, host, port, name and alias."""
    given = wrapper.settings_dict
    if wrapper.vendor == "sqlite":
        return f"SQLite {given['NAME']} (alias {wrapper.alias})"
    name = "MariaDB/MySQL" if wrapper.vendor == "mysql" else str(wrapper.display_name)
    host = given.get("HOST") or "local socket"
    port = f":{given['PORT']}" if given.get("PORT") else ""
    return f"{name} {host}{port}/{given.get('NAME')} (alias {wrapper.alias})"


def _copy(shared: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    wrapper = shared.copy()
    wrapper.inc_thread_sharing()
    given = wrapper.settings_dict
    given["CONN_MAX_AGE"] = None
    options = given["OPTIONS"] = dict(given.get("OPTIONS") or {})
    options.pop("isolation_level", None)
    if wrapper.vendor == "postgresql":
        options.pop("pool", None)
        options.pop("server_side_binding", None)
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
        options.setdefault("keepalives_idle", 10)
        options.setdefault("tcp_user_timeout", 15_000)
    elif wrapper.vendor == "mysql":
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
        options.setdefault("read_timeout", 30)
    elif wrapper.vendor == "sqlite":
        options["timeout"] = max(float(options.get("timeout", 0)), SQLITE_BUSY_SECONDS)
    return wrapper


def wait_for_write_lock(
    raw: Any, begin: str, *, patience_seconds: float, on_wait: Callable[[], None] | None = None
) -> None:
    """Begin a transaction on a raw SQLite connection, trying again while another connection writes.

    Here, and not in `_repeat`: a try is one call of SQLite, without exceptions being dressed up on their way.
    """
    deadline = time.monotonic() + patience_seconds
    tries = 0
    while True:
        try:
            raw.execute(begin)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in SQLITE_RETRYABLE or time.monotonic() > deadline:
                raise
            tries += 1
            if on_wait is not None and not tries % TRIES_PER_SIGN:
                on_wait()
            time.sleep(random.uniform(*SQLITE_PAUSE_SECONDS) * min(4, 1 + tries // 50))
        else:
            return


def _sqlite_timeout_seconds(wrapper: BaseDatabaseWrapper) -> float:
    return float((wrapper.settings_dict.get("OPTIONS") or {}).get("timeout", SQLITE_DEFAULT_SECONDS))


@contextmanager
def _driver_errors(own: bool, wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """Django's cursors translate by themselves; raw cursors of an own connection need it said."""
    with wrapper.wrap_database_errors:
        yield


def _is_missing_table(error: BaseException) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in {"42P01", "42703"}:
        return True
    if error.args and error.args[0] in {1146, 1054}:
        return True
    text = str(error)
    return "no such table: django_jobs_" in text or "no such column" in text


def is_retryable(error: BaseException | None) -> bool:
    """Say whether the same transaction may go through when it is tried again: a busy store, or a deadlock."""
    if error is None:
        return False
    if getattr(error.__cause__, "sqlstate", None) in RETRYABLE_SQLSTATES:
        return True
    if error.args and error.args[0] in DEADLOCK_CODES:
        return True
    text = str(error)
    return "database is locked" in text or "database table is locked" in text or "is busy" in text


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
