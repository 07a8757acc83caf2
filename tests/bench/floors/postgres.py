"""The raw loop of PostgreSQL: two statements per batch, each its own transaction; LISTEN wakes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg

from tests.bench.floors.base import Floor

TABLES: Final = """
CREATE TABLE floor_job (id bigserial PRIMARY KEY, body text NOT NULL, claimed_at timestamptz);
CREATE INDEX floor_waiting ON floor_job (id) WHERE claimed_at IS NULL;
CREATE TABLE floor_result (id bigint PRIMARY KEY, value text NOT NULL, ended_at timestamptz NOT NULL)
"""
INSERT: Final = """
WITH told AS (SELECT pg_notify('floor', ''))
INSERT INTO floor_job (body) SELECT unnest(%s::text[]) FROM told
"""
CLAIM: Final = """
UPDATE floor_job SET claimed_at = now() WHERE id IN (
  SELECT id FROM floor_job WHERE claimed_at IS NULL ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id, body
"""
FINISH: Final = """
WITH gone AS (DELETE FROM floor_job WHERE id = ANY (%s))
INSERT INTO floor_result (id, value, ended_at) SELECT i, v, now() FROM unnest(%s::bigint[], %s::text[]) AS e (i, v)
"""


class PostgresFloor(Floor):
    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg.connect(url, autocommit=True)
        self._listener: psycopg.Connection | None = None

    def prepare(self) -> None:
        self._connection.execute(TABLES)

    def insert(self, bodies: Sequence[str]) -> None:
        self._connection.execute(INSERT, [bodies])

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        return self._connection.execute(CLAIM, [limit]).fetchall()

    def finish(self, ended: Sequence[tuple[int, str]]) -> None:
        ids = [job_id for job_id, _ in ended]
        self._connection.execute(FINISH, [ids, ids, [value for _, value in ended]])

    def wait(self) -> None:
        if self._listener is None:  # what was enqueued before must be looked for once more
            self._listener = psycopg.connect(self._url, autocommit=True)
            self._listener.execute("LISTEN floor")
            return
        for _ in self._listener.notifies(timeout=1.0, stop_after=1):
            pass

    def stored(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM floor_result").fetchone()
        assert row is not None
        return int(row[0])
