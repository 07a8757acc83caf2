"""The result store on the project's database: rows of JobResult."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.engines import make_engine, shifts_us
from django_jobs.backends.database.rows import (
    MARK_GIVEN_SECONDS,
    RESULT,
    RESULT_COLUMNS,
    chunks,
    in_list,
    stored_result,
)  # fmt: skip
from django_jobs.core.outcome import StoredResult
from django_jobs.core.policy import Policy
from django_jobs.core.states import State
from django_jobs.ports.result_store import OldResults, ResultStore

POLL_FIRST_SECONDS = 0.005
POLL_LAST_SECONDS = 0.25


class DatabaseResultStore(ResultStore):
    """Reads and prunes JobResult; the database broker writes it in its own settle step."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._connection = Connection(policy.database, own=False)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The vendor's SQL."""
        if self._engine is None:
            self._engine = make_engine(self._connection, self.policy)
        self._engine.shift_us = shifts_us.get(self._connection.alias, 0)
        return self._engine

    def save_many(self, results: Sequence[StoredResult]) -> None:
        def step(cursor: Any) -> None:
            for stored in sorted(results, key=lambda item: item.id):
                cursor.execute(f"DELETE FROM {RESULT} WHERE id = %s AND attempt < %s", [stored.id, stored.attempt])
            self.engine.keep_results(cursor, results, self.engine.now_us(cursor))

        if results:
            self._connection.transaction(step)

    def load_many(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        def step(cursor: Any) -> dict[str, StoredResult]:
            found: dict[str, StoredResult] = {}
            for chunk in chunks(list(job_ids), 500):
                cursor.execute(
                    f"SELECT {', '.join(RESULT_COLUMNS)} FROM {RESULT} WHERE id IN {in_list(len(chunk))}", list(chunk)
                )
                found.update((row[0], stored_result(row, self.engine.stamps)) for row in cursor.fetchall())
            return found

        return self._connection.statement(step) if job_ids else {}

    def wait(self, job_ids: Collection[str], timeout_seconds: float) -> None:
        """Look for a result of one of `job_ids` at growing intervals, 5 to 250 ms."""
        deadline = time.monotonic() + timeout_seconds
        interval = POLL_FIRST_SECONDS
        while not self._any(list(job_ids)):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(interval, left))
            interval = min(interval * 1.5, POLL_LAST_SECONDS)

    def _any(self, ids: Sequence[str]) -> bool:
        def step(cursor: Any) -> bool:
            for chunk in chunks(ids, 500):
                cursor.execute(f"SELECT 1 FROM {RESULT} WHERE id IN {in_list(len(chunk))} LIMIT 1", list(chunk))
                if cursor.fetchone() is not None:
                    return True
            return False

        return self._connection.statement(step)

    def forget(self, job_ids: Collection[str]) -> int:
        def step(cursor: Any) -> int:
            gone = 0
            now_us = self.engine.now_us(cursor)
            for chunk in chunks(sorted(job_ids), 500):
                cursor.execute(f"SELECT id, id_given FROM {RESULT} WHERE id IN {in_list(len(chunk))}", list(chunk))
                given = [job_id for job_id, id_given in cursor.fetchall() if id_given]
                self.engine.mark(cursor, given, now_us, seconds=MARK_GIVEN_SECONDS)
                cursor.execute(f"DELETE FROM {RESULT} WHERE id IN {in_list(len(chunk))}", list(chunk))
                gone += cursor.rowcount
            return gone

        return self._connection.transaction(step) if job_ids else 0

    def prune(self, *, statuses: Collection[State], older_than_seconds: float, limit: int = 1000) -> int:
        def step(cursor: Any) -> int:
            now_us = self.engine.now_us(cursor)
            before_us = now_us - round(older_than_seconds * 1_000_000)
            found: list[tuple[Any, ...]] = []
            for status in sorted(statuses):
                cursor.execute(
                    f"SELECT id, id_given, finished_at FROM {RESULT} WHERE status = %s AND finished_at < %s"
                    " ORDER BY finished_at LIMIT %s",
                    [status.value, self.engine.stamps.to_column(before_us), limit - len(found)],
                )
                found += cursor.fetchall()
            fresh_us = now_us - MARK_GIVEN_SECONDS * 1_000_000
            fresh = [row[0] for row in found if row[1] and (self.engine.stamps.to_us(row[2]) or 0) > fresh_us]
            self.engine.mark(cursor, fresh, now_us)
            self.engine.delete_by_id(cursor, RESULT, "id", [row[0] for row in found])
            return len(found)

        return self._connection.transaction(step)

    def old_successes(self, *, older_than_seconds: float, after: str = "", limit: int = 1000) -> OldResults:
        # A page ends with an instant, so that none is parted: no order but that of the index is asked for.
        between = f"FROM {RESULT} WHERE status = %s AND finished_at > %s AND finished_at"

        def step(cursor: Any) -> OldResults:
            stamps, succeeded = self.engine.stamps, State.SUCCEEDED.value
            first = stamps.to_column(int(after or 0))
            last = stamps.to_column(self.engine.now_us(cursor) - round(older_than_seconds * 1_000_000))
            cursor.execute(
                f"SELECT finished_at {between} < %s ORDER BY finished_at LIMIT 1 OFFSET %s",
                [succeeded, first, last, limit - 1],
            )
            end = cursor.fetchone()
            if end is not None:
                last = stamps.to_column(stamps.to_us(end[0]))
            cursor.execute(
                f"SELECT id, task, finished_at {between} <= %s ORDER BY finished_at", [succeeded, first, last]
            )
            found = cursor.fetchall()
            return OldResults(
                rows=tuple((row[0], row[1]) for row in found),
                place=str(stamps.to_us(found[-1][2])) if found else after,
                more=end is not None,
            )

        return self._connection.statement(step)
