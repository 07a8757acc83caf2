"""The clock of schedules: that of the database which holds them, so that all beats go by the same one."""

from __future__ import annotations

import time
from typing import Final

from django.db import connections

_SQL: Final = {
    "postgresql": "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
    "mysql": "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
}


def database_now_us(alias: str) -> int:
    """Return the clock of a database in microseconds since 1970. SQLite has the clock of its host."""
    connection = connections[alias]
    statement = _SQL.get(connection.vendor)
    if statement is None:
        return time.time_ns() // 1000
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
