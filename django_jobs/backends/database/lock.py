"""Maintenance locks as rows that end by themselves."""

from __future__ import annotations

from typing import Any

from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.engines import make_engine, shifts_us
from django_jobs.backends.database.rows import LOCK
from django_jobs.core.policy import Policy
from django_jobs.ports.lock import Lock


class DatabaseLock(Lock):
    """Compare-and-set on one row, by the database's clock."""

    def __init__(self, policy: Policy) -> None:
        self._connection = Connection(policy.database, own=False)
        self._engine = make_engine(self._connection, policy)

    def acquire(self, name: str, *, owner: str, hold_seconds: float) -> bool:
        def step(cursor: Any) -> bool:
            self._engine.shift_us = shifts_us.get(self._connection.alias, 0)
            now_us = self._engine.now_us(cursor)
            until_us = now_us + round(hold_seconds * 1_000_000)
            self._engine.insert(cursor, LOCK, ("name", "owner", "until_us"), [(name, owner, 0)], ignore=True)
            cursor.execute(
                f"UPDATE {LOCK} SET owner = %s, until_us = %s WHERE name = %s AND (owner = %s OR until_us <= %s)",
                [owner, until_us, name, owner, now_us],
            )
            return bool(cursor.rowcount == 1)

        return self._connection.transaction(step)

    def release(self, name: str, *, owner: str) -> bool:
        def step(cursor: Any) -> bool:
            cursor.execute(f"DELETE FROM {LOCK} WHERE name = %s AND owner = %s", [name, owner])
            return bool(cursor.rowcount == 1)

        return self._connection.transaction(step)
