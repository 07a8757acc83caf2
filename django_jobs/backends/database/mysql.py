"""MariaDB's and MySQL's hot statements: SKIP LOCKED on exact keys, READ COMMITTED.

Without an index that gives the order a locking read locks what it sorts: a primary key answers every SELECT here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import DUE, DUE_COLUMNS, READY, READY_COLUMNS, chunks


class MysqlEngine(Engine):
    """Claims in a transaction of five statements, two of them locking."""

    insert_ignore = "INSERT IGNORE"
    for_update = "FOR UPDATE"

    def concat(self, *parts: str) -> str:
        return f"CONCAT({', '.join(parts)})"

    def now_us(self, cursor: Any) -> int:
        cursor.execute("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))")
        return int(cursor.fetchone()[0]) + self.shift_us

    def pick_ready(self, cursor: Any, line: str, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {', '.join(READY_COLUMNS)} FROM {READY} FORCE INDEX (PRIMARY) WHERE line = %s"
            # Not by `line`: where the connection's collation is not the column's, MariaDB then sorts, and locks all.
            " ORDER BY rank_no, at_us, job_id LIMIT %s FOR UPDATE SKIP LOCKED",
            [line, limit],
        )
        return list(cursor.fetchall())

    def delete_ready(self, cursor: Any, keys: Sequence[tuple[Any, ...]]) -> None:
        """Delete by the full key, grouped by line and rank: the optimizer makes point ranges of what is left."""
        groups: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
        for row in keys:
            groups.setdefault((row[0], row[1]), []).append(row)
        for (line, rank_no), group in groups.items():
            for chunk in chunks(group, 200):
                points = " OR ".join(["(at_us = %s AND job_id = %s)"] * len(chunk))
                cursor.execute(
                    f"DELETE FROM {READY} WHERE line = %s AND rank_no = %s AND ({points})",
                    [line, rank_no, *(value for row in chunk for value in (row[2], row[3]))],
                )

    def pick_due(self, cursor: Any, now_us: int, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {', '.join(DUE_COLUMNS)} FROM {DUE} FORCE INDEX (PRIMARY) WHERE at_us <= %s"
            " ORDER BY at_us, job_id LIMIT %s FOR UPDATE SKIP LOCKED",
            [now_us, limit],
        )
        return list(cursor.fetchall())

    def delete_due(self, cursor: Any, keys: Sequence[tuple[int, str]]) -> None:
        for chunk in chunks(keys, 200):
            points = " OR ".join(["(at_us = %s AND job_id = %s)"] * len(chunk))
            cursor.execute(f"DELETE FROM {DUE} WHERE {points}", [value for key in chunk for value in key])
