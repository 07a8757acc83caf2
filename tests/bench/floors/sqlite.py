"""The raw loop of SQLite: two transactions per batch that begin with the write lock; a look each ms when idle."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

from tests.bench.floors.base import POLL_SECONDS, Floor
from tests.bench.stores.sqlite import connect

TABLES: Final = """
CREATE TABLE floor_job (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, claimed_at REAL);
CREATE INDEX floor_waiting ON floor_job (id) WHERE claimed_at IS NULL;
CREATE TABLE floor_result (id INTEGER PRIMARY KEY, value TEXT NOT NULL, ended_at REAL NOT NULL);
"""
WAITING: Final = "SELECT 1 FROM floor_job WHERE claimed_at IS NULL LIMIT 1"
INSERT: Final = "INSERT INTO floor_job (body) SELECT value FROM json_each(?)"
CLAIM: Final = """
UPDATE floor_job SET claimed_at = ? WHERE id IN (
  SELECT id FROM floor_job WHERE claimed_at IS NULL ORDER BY id LIMIT ?)
RETURNING id, body
"""
DELETE: Final = "DELETE FROM floor_job WHERE id IN (SELECT value FROM json_each(?))"
KEEP: Final = "INSERT INTO floor_result (id, value, ended_at) VALUES (?, ?, ?)"


class SqliteFloor(Floor):
    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._connection.execute("PRAGMA journal_mode = WAL")

    def prepare(self) -> None:
        self._connection.executescript(TABLES)

    def insert(self, bodies: Sequence[str]) -> None:
        self._connection.execute(INSERT, [json.dumps(bodies)])

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        self._connection.execute("BEGIN IMMEDIATE")
        claimed = self._connection.execute(CLAIM, [time.time(), limit]).fetchall()
        self._connection.execute("COMMIT")
        return claimed

    def finish(self, ended: Sequence[tuple[int, str]]) -> None:
        now = time.time()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(DELETE, [json.dumps([job_id for job_id, _ in ended])])
        self._connection.executemany(KEEP, [(job_id, value, now) for job_id, value in ended])
        self._connection.execute("COMMIT")

    def wait(self) -> None:
        while self._connection.execute(WAITING).fetchone() is None:
            time.sleep(POLL_SECONDS)

    def stored(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM floor_result").fetchone()[0])
