"""How an idle worker learns of new jobs: LISTEN on PostgreSQL, a look at the file's version on SQLite, else polling."""

from __future__ import annotations

import os
import random
import select
import time
from collections import deque
from collections.abc import Collection
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.backends.database.connection import Connection

POLL_FIRST_SECONDS: Final = 0.01
POLL_LAST_SECONDS: Final = 0.5
SQLITE_FIRST_LOOK_SECONDS: Final = 0.004
SQLITE_LAST_LOOK_SECONDS: Final = 0.025
PROOF_SECONDS: Final = 1.0


class Wakeup:
    """Waits for a hint that there may be work. Hints may be lost: the caller polls in any case."""

    def __init__(self, connection: Connection, *, channel: str) -> None:
        self._connection = connection
        self.channel = channel
        self._listens: bool | None = None
        self._empty_waits = 0
        self._version: int | None = None
        self._heard: deque[str] = deque(maxlen=1000)
        """Payloads that arrived while a statement ran: psycopg takes those in, and would forget them."""
        connection.on_connect = self._connected

    def wait(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None) -> None:
        """Return at a hint, when `wake_fd` is readable, or after the timeout."""
        if timeout_seconds <= 0:
            return
        with self._connection.errors():
            vendor = self._connection.vendor
            if vendor == "postgresql" and self._connection.own and self._prove():
                self._wait_for_notify(queues, timeout_seconds, wake_fd)
            elif vendor == "sqlite":
                self._wait_for_version(timeout_seconds, wake_fd)
            else:
                self._poll(timeout_seconds, wake_fd)

    def close(self) -> None:
        """Forget what was learnt about a connection that is closed."""
        self._listens = self._version = None
        self._heard.clear()

    def _connected(self, wrapper: BaseDatabaseWrapper) -> None:
        self._listens = self._version = None
        if wrapper.vendor == "sqlite":
            with wrapper.cursor() as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")

    # -- PostgreSQL --------------------------------------------------------------------------------------------

    def _prove(self) -> bool:
        """Whether LISTEN works here, found out by a notification to oneself: a transaction pooler swallows it."""
        wrapper = self._connection.wrapper
        if self._listens is None:
            wrapper.connection.add_notify_handler(lambda note: self._heard.append(note.payload))
            with wrapper.cursor() as cursor:
                cursor.execute(f'LISTEN "{self.channel}"')
                cursor.execute("SELECT pg_notify(%s, %s)", [self.channel, f"!proof {os.getpid()}"])
            self._listens = bool(self._notifications(wrapper.connection, PROOF_SECONDS, None))
        return self._listens

    def _wait_for_notify(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None) -> None:
        deadline = time.monotonic() + timeout_seconds
        raw = self._connection.wrapper.connection
        while (left := deadline - time.monotonic()) > 0:
            names = self._notifications(raw, left, wake_fd)
            if not names or queues is None or any(name in queues for name in names):
                return

    def _notifications(self, raw: Any, timeout_seconds: float, wake_fd: int | None) -> list[str]:
        """Return the payloads that are there or arrive in time; none when `wake_fd` or the clock came first."""
        pgconn = raw.pgconn
        found = [*self._heard, *_drain(pgconn)]
        self._heard.clear()
        if not found:
            fds = [pgconn.socket] if wake_fd is None else [pgconn.socket, wake_fd]
            readable, _, _ = select.select(fds, [], [], timeout_seconds)
            if pgconn.socket in readable:
                pgconn.consume_input()
                found = _drain(pgconn)
                if not found and wake_fd not in readable and pgconn.status != 0:
                    raise OperationalError("the connection was closed by the server")
        return found

    # -- SQLite ------------------------------------------------------------------------------------------------

    def _wait_for_version(self, timeout_seconds: float, wake_fd: int | None) -> None:
        """Look every few milliseconds whether another connection has committed: one read of shared memory each."""
        deadline = time.monotonic() + timeout_seconds
        look = self._connection.wrapper.connection.execute  # not Django's cursor: it would cost ten times the look
        before = self._version
        while True:
            self._version = int(look("PRAGMA data_version").fetchone()[0])
            if before is not None and self._version != before:
                self._empty_waits = 0
                return
            before = self._version
            seconds = min(SQLITE_LAST_LOOK_SECONDS, SQLITE_FIRST_LOOK_SECONDS * 1.05**self._empty_waits)
            self._empty_waits = min(self._empty_waits + 1, 100)
            left = deadline - time.monotonic()
            if left <= 0 or _sleep(min(left, seconds), wake_fd):
                return

    # -- the rest ----------------------------------------------------------------------------------------------

    def _poll(self, timeout_seconds: float, wake_fd: int | None) -> None:
        seconds = min(timeout_seconds, POLL_LAST_SECONDS, POLL_FIRST_SECONDS * 1.5**self._empty_waits)
        self._empty_waits = min(self._empty_waits + 1, 20)
        _sleep(seconds * random.uniform(0.8, 1.0), wake_fd)

    def found_work(self) -> None:
        """Look more often again."""
        self._empty_waits = 0


def _drain(pgconn: Any) -> list[str]:
    names = []
    while (note := pgconn.notifies()) is not None:
        names.append(note.extra.decode())
    return names


def _sleep(seconds: float, wake_fd: int | None) -> bool:
    """Sleep; True when `wake_fd` cut it short."""
    if wake_fd is None:
        time.sleep(seconds)
        return False
    return bool(select.select([wake_fd], [], [], seconds)[0])
