"""SQLite's hot statements. One writer at a time: a transaction that locks at its start is all that it needs."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import DUE, DUE_COLUMNS, JOB, JOB_COLUMNS, READY, READY_COLUMNS, JobRow

_encode = msgspec.json.Encoder().encode


class SqliteEngine(Engine):
    """Lists of ids travel as one JSON parameter: no limit of variables, and one step instead of one per row."""

    insert_ignore = "INSERT OR IGNORE"

    def now_us(self, cursor: Any) -> int:
        return time.time_ns() // 1000 + self.shift_us

    def pick_ready(self, cursor: Any, line: str, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {', '.join(READY_COLUMNS)} FROM {READY} WHERE line = %s ORDER BY rank_no, at_us, job_id LIMIT %s",
            [line, limit],
        )
        return list(cursor.fetchall())

    def delete_ready(self, cursor: Any, keys: Sequence[tuple[Any, ...]]) -> None:
        cursor.execute(
            f"DELETE FROM {READY} WHERE rowid IN (SELECT r.rowid FROM json_each(%s) k CROSS JOIN {READY} r"
            " ON r.line = json_extract(k.value, '$[0]') AND r.rank_no = json_extract(k.value, '$[1]')"
            " AND r.at_us = json_extract(k.value, '$[2]') AND r.job_id = json_extract(k.value, '$[3]'))",
            [_encode(keys).decode()],
        )

    def delete_due(self, cursor: Any, keys: Sequence[tuple[int, str]]) -> None:
        cursor.execute(
            f"DELETE FROM {DUE} WHERE rowid IN (SELECT d.rowid FROM json_each(%s) k CROSS JOIN {DUE} d"
            " ON d.at_us = json_extract(k.value, '$[0]') AND d.job_id = json_extract(k.value, '$[1]'))",
            [_encode(keys).decode()],
        )

    def pick_due(self, cursor: Any, now_us: int, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {', '.join(DUE_COLUMNS)} FROM {DUE} WHERE at_us <= %s ORDER BY at_us LIMIT %s", [now_us, limit]
        )
        return list(cursor.fetchall())

    def read_jobs(self, cursor: Any, ids: Sequence[str], *, lock: bool = False) -> dict[str, JobRow]:
        cursor.execute(
            f"SELECT {', '.join(JOB_COLUMNS)} FROM {JOB} WHERE id IN (SELECT value FROM json_each(%s))",
            [_encode(list(ids)).decode()],
        )
        return {row[0]: JobRow._make(row) for row in cursor.fetchall()}

    def delete_by_id(self, cursor: Any, table: str, column: str, ids: Collection[str]) -> None:
        if ids:
            keys = _encode(list(ids)).decode()
            cursor.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(%s))", [keys])
