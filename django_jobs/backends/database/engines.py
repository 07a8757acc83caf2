"""Which engine speaks to which vendor, and the clock that tests may shift."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django_jobs.backends.database import gates, pauses, turns
from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.mysql import MysqlEngine
from django_jobs.backends.database.postgresql import PostgresqlEngine
from django_jobs.backends.database.rows import TURNS, Stamps
from django_jobs.backends.database.sqlite import SqliteEngine
from django_jobs.core.policy import Policy
from django_jobs.exceptions import BrokerError

ENGINES: Final[dict[str, type[Engine]]] = {
    "postgresql": PostgresqlEngine,
    "mysql": MysqlEngine,
    "sqlite": SqliteEngine,
}

shifts_us: dict[str, int] = {}
"""Alias -> microseconds added to its clock in this process; only tests put something in."""


def make_engine(connection: Connection, policy: Policy) -> Engine:
    """Return the engine for a connection.

    Raises:
        BrokerError: the vendor is none of PostgreSQL, MariaDB, MySQL and SQLite.
    """
    kind = ENGINES.get(connection.vendor)
    if kind is None:
        raise BrokerError(
            f"The database alias {connection.alias!r} is {connection.vendor}; django_jobs runs on PostgreSQL, MariaDB, "
            'MySQL and SQLite. Name another alias: DJANGO_JOBS = {"DATABASE": ...}.'
        )
    engine = kind(Stamps(connection.vendor, use_tz=policy.use_tz, time_zone=policy.time_zone))
    engine.shift_us = shifts_us.get(connection.alias, 0)
    engine.open_gates = partial(_open_gates, engine)
    engine.keep_back = partial(pauses.keep_back, engine)
    return engine


def _open_gates(engine: Engine, cursor: Any, due: Sequence[tuple[Any, ...]], now_us: int) -> None:
    newest = gates.newest_of([row for row in due if not row[2].startswith(TURNS)])
    waiting = {row[2] for row in due if row[2].startswith(TURNS)}
    if waiting:
        newest.update(turns.give(engine, cursor, waiting, now_us))
    gates.open_gates(engine, cursor, newest, now_us)
