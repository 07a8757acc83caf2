"""The raw loop of MariaDB and MySQL: two transactions per batch, SKIP LOCKED; a look each ms when idle.

In the order of the primary key: an index on what is claimed would be changed by every step, and cost twice as much.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from tests.bench.floors.base import POLL_SECONDS, Floor
from tests.bench.stores.mysql import connect

TABLES: Final = (
    "CREATE TABLE floor_job (id bigint AUTO_INCREMENT PRIMARY KEY, body text NOT NULL,"
    " claimed_at double NOT NULL DEFAULT 0)",
    "CREATE TABLE floor_result (id bigint PRIMARY KEY, value text NOT NULL, ended_at double NOT NULL)",
)
WAITING: Final = "SELECT 1 FROM floor_job WHERE claimed_at = 0 LIMIT 1"
CLAIM: Final = (
    "SELECT id, body FROM floor_job FORCE INDEX (PRIMARY) WHERE claimed_at = 0 ORDER BY id LIMIT %s"
    " FOR UPDATE SKIP LOCKED"
)


class MysqlFloor(Floor):
    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._cursor = self._connection.cursor()
        self._cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def prepare(self) -> None:
        for statement in TABLES:
            self._cursor.execute(statement)

    def insert(self, bodies: Sequence[str]) -> None:
        self._cursor.executemany("INSERT INTO floor_job (body) VALUES (%s)", [(text,) for text in bodies])

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        self._cursor.execute("BEGIN")
        self._cursor.execute(CLAIM, [limit])
        claimed: Sequence[tuple[int, str]] = self._cursor.fetchall()
        if claimed:
            ids = [job_id for job_id, _ in claimed]
            self._cursor.execute("UPDATE floor_job SET claimed_at = %s WHERE id IN %s", [time.time(), ids])
        self._cursor.execute("COMMIT")
        return claimed

    def finish(self, ended: Sequence[tuple[int, str]]) -> None:
        self._cursor.execute("BEGIN")
        self._cursor.execute("DELETE FROM floor_job WHERE id IN %s", [[job_id for job_id, _ in ended]])
        now = time.time()  # a parameter: with any other expression MySQLdb would send a statement for each row
        rows = [(job_id, value, now) for job_id, value in ended]
        self._cursor.executemany("INSERT INTO floor_result (id, value, ended_at) VALUES (%s, %s, %s)", rows)
        self._cursor.execute("COMMIT")

    def wait(self) -> None:
        while not self._cursor.execute(WAITING):
            time.sleep(POLL_SECONDS)

    def stored(self) -> int:
        self._cursor.execute("SELECT count(*) FROM floor_result")
        return int(self._cursor.fetchone()[0])
