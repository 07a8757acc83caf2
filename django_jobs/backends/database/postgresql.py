"""PostgreSQL's hot statements: one statement per verb, plans that do not depend on statistics.

Rows travel as one JSON parameter, which costs less on both sides than arrays of a dozen columns. Picked rows are
deleted by their ctid (they are locked, and never updated), and `= ANY (ARRAY(SELECT ...))` keeps the planner on the
primary key, however stale its statistics are: after a bulk fill every join by estimate goes wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.cursor import ClaimCursor
from django_jobs.backends.database.engine import PROMOTE_LIMIT, Engine, Picked, PlainEnds
from django_jobs.backends.database.lines import lines_of
from django_jobs.backends.database.rows import (
    CLAIMED,
    DUE,
    DUE_COLUMNS,
    GATE,
    JOB,
    JOB_COLUMNS,
    MARK,
    MARK_GIVEN_SECONDS,
    PAUSE,
    READY,
    READY_COLUMNS,
    RESULT,
    RESULT_COLUMNS,
    SESSION,
    SOON_US,
    TIMER_RANK,
    JobRow,
    Stamps,
    placeholders,
    rank,
)  # fmt: skip
from django_jobs.backends.database.settlerows import SETTLE_RECORD, settle_rows
from django_jobs.core.claim import Want
from django_jobs.core.message import Message

_encode = msgspec.json.Encoder().encode

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

DUE_FLOOR_US: Final = 10_000_000

JOB_LIST: Final = ", ".join(JOB_COLUMNS)
READY_LIST: Final = ", ".join(READY_COLUMNS)
DUE_LIST: Final = ", ".join(DUE_COLUMNS)

ENQUEUE: Final = f"""
WITH n AS (SELECT {NOW} AS now_us),
m AS (SELECT x.*, CASE WHEN x.delay IS NULL THEN x.eta ELSE n.now_us + x.delay END AS due, n.now_us
      FROM n, json_to_recordset(%s::json) AS x(i int, id text, task text, queue text, priority smallint, body text,
        eta bigint, delay bigint, expires bigint, expires_after bigint, given boolean)),
j AS (INSERT INTO {JOB} ({JOB_LIST})
      SELECT id, task, queue, priority, body, octet_length(body), given, now_us,
        CASE WHEN due > now_us + {SOON_US} THEN due ELSE now_us + i END,
        CASE WHEN expires_after IS NULL THEN expires ELSE now_us + expires_after END,
        0, 0, false, false, false, NULL, '', NULL, NULL, NULL, NULL
      FROM m ORDER BY i ON CONFLICT (id) DO NOTHING
      RETURNING id, queue, priority, at_us, enqueued_us, body_bytes),
r AS (INSERT INTO {READY} ({READY_LIST})
      SELECT queue, 100 - priority, at_us, id, 0, body_bytes FROM j WHERE at_us <= enqueued_us + {SOON_US}),
d AS (INSERT INTO {DUE} ({DUE_LIST})
      SELECT at_us, id, queue, 100 - priority, 0, body_bytes FROM j WHERE at_us > enqueued_us + {SOON_US}),
w AS (SELECT count(pg_notify(%s, q.queue)) AS sent FROM (SELECT DISTINCT queue FROM j) q)
SELECT j.id FROM j, w"""

CLAIM: Final = f"""
p AS MATERIALIZED ({{pick}}),
f AS (SELECT ctid, sum(body_bytes) OVER (ROWS UNBOUNDED PRECEDING) AS total, body_bytes FROM p),
gone AS (DELETE FROM {READY} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM f WHERE (total <= %s OR total = body_bytes)
        AND NOT EXISTS (SELECT 1 FROM {SESSION} WHERE id = %s AND state = 'dead')
        AND NOT EXISTS (SELECT 1 FROM {PAUSE}{{but_known}})))
    RETURNING line, rank_no, at_us, job_id, attempt + 1 AS attempt),
named AS (INSERT INTO {CLAIMED} (name, session_id, size, jobs, claimed_us)
    SELECT %s, %s, count(*), json_agg(json_build_array(job_id, attempt))::text, {NOW} FROM gone HAVING count(*) > 0),
g AS (SELECT gone.attempt AS new_attempt, j.* FROM gone CROSS JOIN LATERAL (
      SELECT {JOB_LIST} FROM {JOB} WHERE id = gone.job_id OFFSET 0) j
      ORDER BY array_position(%s::text[], gone.line::text), gone.rank_no, gone.at_us, gone.job_id)"""

STEADY_PLANS: Final = (
    "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),"
    " set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true); "
)
"""Before the round, in the same simple query and so in the same implicit transaction: every access is by a primary key
in its order, and a planner that believes a table to hold five rows must not sort 200,000. Nothing outlives the
transaction, as a transaction pooler demands."""

PROMOTE: Final = f"""
WITH gone AS (DELETE FROM {DUE} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM {DUE} WHERE at_us <= {NOW} ORDER BY at_us LIMIT {PROMOTE_LIMIT} FOR UPDATE SKIP LOCKED))
    RETURNING line, rank_no, at_us, job_id, attempt, body_bytes),
moved AS (INSERT INTO {READY} ({READY_LIST})
    SELECT line, rank_no, at_us, job_id, attempt, body_bytes FROM gone WHERE rank_no <> {TIMER_RANK})
SELECT {DUE_LIST} FROM gone WHERE left(line, 1) = '{GATE}'"""


class PostgresqlEngine(Engine):
    """One statement settles a batch and claims the next."""

    insert_ignore = "INSERT"
    for_update = "FOR UPDATE"
    enqueues_in_one_statement = True

    def __init__(self, stamps: Stamps) -> None:
        super().__init__(stamps)
        self._cursor = ClaimCursor()
        self._due_floor_us = 0
        """Nothing that was due before it is left, but for what was committed late: a sweep looks at all."""
        self._promote_at = 0.0
        """Monotonic seconds at which the earliest known row of Due is due; the first claim looks."""

    def _sql(self, text: str) -> str:
        return text.replace(NOW, f"({NOW} + {self.shift_us})") if self.shift_us else text

    def now_us(self, cursor: Any) -> int:
        cursor.execute(f"SELECT {NOW}")
        return int(cursor.fetchone()[0]) + self.shift_us

    # -- enqueue -----------------------------------------------------------------------------------------------

    def enqueue(self, cursor: Any, messages: Sequence[Message]) -> list[bool]:
        rows = [
            {
                "i": order, "id": m.id, "task": m.task, "queue": m.queue, "priority": m.priority, "body": m.body,
                "eta": m.eta_us, "delay": m.delay_us, "expires": m.expires_us, "expires_after": m.expires_after_us,
                "given": m.id_given,
            }
            for order, m in enumerate(messages)
        ]  # fmt: skip
        cursor.execute(self._sql(ENQUEUE), [_encode(rows).decode(), self.channel])
        new = {row[0] for row in cursor.fetchall()}
        given = [m.id for m in messages if m.id_given and m.id in new]
        if given:
            new -= self._reject(cursor, given)
        answers = []
        for message in messages:
            answers.append(message.id in new)
            new.discard(message.id)
        return answers

    def _insert_jobs(self, cursor: Any, rows: Sequence[JobRow]) -> list[bool]:
        """In one statement of many rows, for those whose places were worked out before."""
        unique = {row.id: row for row in reversed(rows)}
        cursor.execute(
            f"INSERT INTO {JOB} ({JOB_LIST}) SELECT {JOB_LIST} FROM json_populate_recordset(NULL::{JOB}, %s::json)"
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            [_encode([dict(zip(JOB_COLUMNS, row, strict=True)) for row in reversed(unique.values())]).decode()],
        )
        new = {row[0] for row in cursor.fetchall()}
        answers = []
        for row in rows:
            answers.append(row.id in new)
            new.discard(row.id)
        return answers

    def _reject(self, cursor: Any, given: Sequence[str]) -> set[str]:
        jobs = self.read_jobs(cursor, given)
        rejected = self.reject_marked(cursor, given, self.now_us(cursor))
        rows = [jobs[job_id] for job_id in rejected]
        self.delete_ready(cursor, [row.ready(0)[:4] for row in rows])
        self.delete_due(cursor, [row.due(0)[:2] for row in rows])
        return rejected

    # -- one round ---------------------------------------------------------------------------------------------

    def exchange(
        self, connection: Connection, ends: Sequence[PlainEnds], want: Want | None
    ) -> tuple[list[str], Picked | None]:
        if want is None:
            return connection.statement(lambda cursor: self._settle_only(cursor, ends)), None
        if self._promote_at <= time.monotonic():
            self.promote_due(connection)
        if self._is_any_task_paused():
            whole = connection.statement(lambda cursor: self._settle_only(cursor, ends)) if ends else []
            return whole, self._claim_with_care(connection, want)
        before = self.pauses
        whole, picked = self._round(connection, ends, want)
        if not picked.rows and (self.pauses != before or self._is_news(connection, picked)):
            return whole, self._claim_with_care(connection, want)
        if not picked.rows and (
            self._promote_at <= time.monotonic() or (not picked.swept and self._cursor.seconds_to_sweep() <= 0)
        ):
            if self._promote_at <= time.monotonic():
                self.promote_due(connection)
            _, picked = self._round(connection, (), want)
        return whole, picked

    def _is_news(self, connection: Connection, picked: Picked) -> bool:
        """Say whether more is paused than this engine knew: a round that sees rows then takes none of them."""

        def read(cursor: Any) -> frozenset[str]:
            cursor.execute(f"SELECT target FROM {PAUSE}")
            return frozenset(row[0] for row in cursor.fetchall())

        return picked.more and connection.statement(read) != self.pauses

    def _is_any_task_paused(self) -> bool:
        return bool(self.pauses) and any(target.startswith("task ") for target in self.pauses)

    def _claim_with_care(self, connection: Connection, want: Want) -> Picked:
        """Claim in several statements, which read what is paused, and look at each job where a task is."""

        def step(cursor: Any) -> Picked:
            if connection.own:
                cursor.execute(STEADY_PLANS)
            return self.claim(cursor, want)

        picked = connection.transaction(step)
        next_due_us = picked.next_due_us
        self._promote_at = math.inf if next_due_us is None else time.monotonic() + next_due_us / 1e6
        return picked

    def promote_due(self, connection: Connection) -> None:
        def promote(cursor: Any) -> list[tuple[Any, ...]]:
            cursor.execute(self._sql(PROMOTE))
            return list(cursor.fetchall())

        # What is lost between the two steps, a keeper's sweep lets in.
        if gated := connection.statement(promote):
            connection.transaction(lambda cursor: self.open_gates(cursor, gated, self.now_us(cursor)))

    def _settle_only(self, cursor: Any, ends: Sequence[PlainEnds]) -> list[str]:
        parts: list[str] = []
        params: list[Any] = []
        self._settle_parts(ends, parts, params)
        cursor.execute(self._sql(f"WITH {','.join(parts)} SELECT c FROM whole"), params)
        return [ends[row[0]].name for row in cursor.fetchall()]

    def _round(self, connection: Connection, ends: Sequence[PlainEnds], want: Want) -> tuple[list[str], Picked]:
        """Settle and claim in one statement; one row at least comes back, with the clock and the next due time."""
        parts: list[str] = []
        params: list[Any] = []
        if ends:
            self._settle_parts(ends, parts, params)
        lines = lines_of(want, self.pauses)
        limit = min(want.limit, 1) if want.suspects else want.limit
        pick, pick_params, swept = self._cursor.pick(lines, limit)
        known = sorted(self.pauses)
        parts.append(CLAIM.format(pick=pick, but_known=" WHERE target <> ALL (%s::text[])" if known else ""))
        params += [*pick_params, want.max_bytes, want.name.session, *([known] if known else [])]
        params += [str(want.name), want.name.session, lines]
        tail = _tail(bool(ends), 0 if swept else self._due_floor_us, with_pauses=bool(known))
        sql = self._sql(f"WITH {','.join(parts)} {tail}")
        began = time.monotonic()
        rows = connection.statement(lambda cursor: _rows_of_last(cursor, sql, params, steady=connection.own))
        seconds = time.monotonic() - began
        if known:
            self.pauses = frozenset(rows[0][4])
        whole = [ends[index].name for index in rows[0][0] or ()]
        found = [(JobRow._make(row[6:]), row[5]) for row in rows] if rows[0][5] is not None else []
        full = len(found) >= limit or rows[0][3] > len(found)
        settled = sum(len(end.results) + len(end.dropped) for end in ends)
        places = [(row.line, rank(row.priority), row.place, row.id) for row, _ in found]
        self._cursor.took(places, swept=swept, full=full, seconds=seconds, jobs=len(found) + settled)
        now_us, due_us = rows[0][1], rows[0][2]
        next_due_us = None if due_us is None else due_us - now_us
        self._due_floor_us = now_us - DUE_FLOOR_US
        self._promote_at = math.inf if next_due_us is None else time.monotonic() + next_due_us / 1e6
        return whole, Picked(
            found, full or (bool(found) and not swept), self._soonest(next_due_us, swept), now_us, swept
        )

    def _soonest(self, next_due_us: int | None, swept: bool) -> int | None:
        """A claim off the edge that found nothing must be repeated when a sweep can be afforded."""
        if swept:
            return next_due_us
        sweep_us = round(self._cursor.seconds_to_sweep() * 1e6)
        return sweep_us if next_due_us is None else min(next_due_us, sweep_us)

    def _settle_parts(self, ends: Sequence[PlainEnds], parts: list[str], params: list[Any]) -> None:
        checks = []
        for index, end in enumerate(ends):
            if end.left:
                parts.append(
                    f"c{index} AS (UPDATE {CLAIMED} SET size = %s, jobs = %s"
                    f" WHERE name = %s AND size = %s RETURNING {index} AS c)"
                )
                params += [len(end.left), _encode(end.left).decode(), end.name, end.size]
            else:
                parts.append(
                    f"c{index} AS (DELETE FROM {CLAIMED} WHERE name = %s AND size = %s RETURNING {index} AS c)"
                )
                params += [end.name, end.size]
            checks.append(f"SELECT c FROM c{index}")
        parts.append(f"whole AS ({' UNION ALL '.join(checks)})")
        parts.append(
            f"o AS MATERIALIZED (SELECT x.* FROM json_to_recordset(%s::json) AS {SETTLE_RECORD}"
            " WHERE x.c IN (SELECT c FROM whole))"
        )
        params.append(_encode(settle_rows(ends)).decode())
        parts.append(f"d AS (DELETE FROM {JOB} WHERE id = ANY (ARRAY(SELECT id FROM o)))")
        parts.append(
            f"""r AS (INSERT INTO {RESULT} ({", ".join(RESULT_COLUMNS)})
              SELECT id, task, queue, priority, status, body, given, result, error_class, error_message, traceback,
                attempts, attempt, failures, crashes, to_timestamp(enqueued / 1e6), to_timestamp(started / 1e6),
                to_timestamp(coalesce(finished, {NOW}) / 1e6), worker FROM o WHERE keep ON CONFLICT (id) DO NOTHING)"""
        )
        parts.append(
            f"""k AS (INSERT INTO {MARK} (id, until_us) SELECT id, {NOW} + {MARK_GIVEN_SECONDS * 1_000_000} FROM o
              WHERE NOT keep AND given ON CONFLICT (id) DO UPDATE SET until_us = excluded.until_us)"""
        )

    # -- the generic steps, for what is rare -------------------------------------------------------------------

    def pick_ready(self, cursor: Any, line: str, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {READY_LIST} FROM {READY} WHERE line = %s ORDER BY line, rank_no, at_us, job_id LIMIT %s"
            " FOR UPDATE SKIP LOCKED",
            [line, limit],
        )
        return list(cursor.fetchall())

    def delete_ready(self, cursor: Any, keys: Sequence[tuple[Any, ...]]) -> None:
        if keys:
            cursor.execute(
                f"DELETE FROM {READY} WHERE (line, rank_no, at_us, job_id) IN ({placeholders(len(keys), 4)})",
                [value for key in keys for value in key],
            )

    def delete_due(self, cursor: Any, keys: Sequence[tuple[int, str]]) -> None:
        if keys:
            cursor.execute(
                f"DELETE FROM {DUE} WHERE (at_us, job_id) IN ({placeholders(len(keys), 2)})",
                [value for key in keys for value in key],
            )

    def pick_due(self, cursor: Any, now_us: int, limit: int) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {DUE_LIST} FROM {DUE} WHERE at_us <= %s ORDER BY at_us LIMIT %s FOR UPDATE SKIP LOCKED",
            [now_us, limit],
        )
        return list(cursor.fetchall())

    def delete_by_id(self, cursor: Any, table: str, column: str, ids: Collection[str]) -> None:
        if ids:
            cursor.execute(f"DELETE FROM {table} WHERE {column} = ANY (%s)", [sorted(ids)])

    def insert_new(self, cursor: Any, table: str, columns: Sequence[str], row: Sequence[Any]) -> bool:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {placeholders(1, len(columns))} ON CONFLICT DO NOTHING",
            row,
        )
        return bool(cursor.rowcount == 1)

    def notify(self, cursor: Any, queues: Collection[str]) -> None:
        for queue in sorted(queues):
            cursor.execute("SELECT pg_notify(%s, %s)", [self.channel, queue])

    def insert(
        self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Any], *, ignore: bool = False
    ) -> None:
        if rows:
            tail = " ON CONFLICT DO NOTHING" if ignore else ""
            cursor.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {placeholders(1, len(columns))}{tail}", rows
            )


def _tail(settles: bool, due_floor_us: int, *, with_pauses: bool) -> str:
    whole = "(SELECT array_agg(c) FROM whole)" if settles else "NULL::int[]"
    earliest = f"(SELECT at_us FROM {DUE} WHERE at_us > {due_floor_us} ORDER BY at_us LIMIT 1)"
    paused = f"ARRAY(SELECT target FROM {PAUSE})" if with_pauses else "NULL"
    columns = f"{whole}, {NOW}, {earliest}, (SELECT count(*) FROM p), {paused}, g.*"
    return f"SELECT {columns} FROM (SELECT 1) one LEFT JOIN g ON true"


def _rows_of_last(cursor: Any, sql: str, params: Sequence[Any], *, steady: bool) -> list[Any]:
    cursor.execute(STEADY_PLANS + sql if steady else sql, params)
    if steady:
        cursor.nextset()
    return list(cursor.fetchall())
