"""What people and workers write about single jobs: cancel, retry, what runs for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_jobs.backends.database import turns, uniques
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.ledger import Ledger
from django_jobs.backends.database.rows import (
    DUE,
    DUE_COLUMNS,
    GATE,
    JOB,
    JOB_COLUMNS,
    MARK,
    READY,
    READY_COLUMNS,
    RESULT,
    JobRow,
    chunks,
    in_list,
)  # fmt: skip
from django_jobs.backends.database.views import claims_of
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import Kind, Outcome, StoredResult
from django_jobs.core.states import State
from django_jobs.ports.broker import CancelAnswer

NOBODY = ClaimName("", 0, 0)


def cancel(engine: Engine, cursor: Any, job_id: str, *, terminate: bool) -> CancelAnswer:
    """End a waiting job, flag a claimed one, mark an unknown id."""
    now_us = engine.now_us(cursor)
    row = engine.read_jobs(cursor, [job_id], lock=True).get(job_id)
    if row is None:
        cursor.execute(
            f"SELECT status FROM {RESULT} WHERE id = %s"
            f" UNION ALL SELECT 'marked' FROM {MARK} WHERE id = %s AND until_us > %s",
            [job_id, job_id, now_us],
        )
        if (found := cursor.fetchone()) is not None:
            return CancelAnswer.CANCELLED if found[0] == State.CANCELLED else CancelAnswer.TOO_LATE
        engine.mark(cursor, [job_id], now_us)
        return CancelAnswer.UNKNOWN
    if not end_waiting(engine, cursor, row, now_us):
        flags = "cancel_requested = %s, terminate_requested = %s" if terminate else "cancel_requested = %s"
        cursor.execute(f"UPDATE {JOB} SET {flags} WHERE id = %s", [*([True] * (1 + terminate)), job_id])
        return CancelAnswer.REQUESTED
    return CancelAnswer.CANCELLED


def end_waiting(engine: Engine, cursor: Any, row: JobRow, now_us: int) -> bool:
    """End a job CANCELLED whose row is locked; False, and nothing is changed, where it is claimed."""
    attempt = _take_from_line(cursor, row)
    if attempt is None:
        return False
    ledger = Ledger(engine, now_us)
    ledger.end(row, State.CANCELLED, Outcome(id=row.id, name=NOBODY, attempt=attempt, kind=Kind.CANCELLED))
    ledger.write(cursor)
    return True


def _take_from_line(cursor: Any, row: JobRow) -> int | None:
    """Delete a waiting job's place and return its attempts; None for a claimed job.

    A claimer holds the lock of the place until its claim is stored: whoever comes second finds nothing.
    """
    in_line = (READY, "line = %s AND rank_no = %s AND at_us = %s AND job_id = %s", row.ready(0)[:4])
    later = (DUE, "at_us = %s AND job_id = %s", (row.at_us, row.id))
    let_in = (*in_line[:2], row.let_in(0)[:4])
    # A place only moves on: the second look is for what was promoted in between. What was put aside while it was paused
    # goes back in line under the lock of the job's row, which the caller has.
    looks: Sequence[tuple[str, str, Sequence[Any]]] = (later, in_line, let_in)
    if row.gate is None:
        looks = (in_line, later, in_line)
    if row.fair_key is not None:
        looks = (later, (*in_line[:2], row.before_its_turn(0)[:4]), in_line, let_in)
    for table, where, key in (*looks, *((*in_line[:2], key) for key in row.aside())):
        cursor.execute(f"SELECT attempt FROM {table} WHERE {where}", key)
        found = cursor.fetchone()
        if found is not None:
            cursor.execute(f"DELETE FROM {table} WHERE {where}", key)
            if cursor.rowcount == 1:
                return int(found[0])
    return None


def requeue(engine: Engine, cursor: Any, stored: StoredResult) -> bool:
    """Start an ended job again, if it still is what the caller saw."""
    now_us = engine.now_us(cursor)
    bounds = bounds_of(stored.body)
    unique = bounds.unique if bounds else None
    as_seen = f"FROM {RESULT} WHERE id = %s AND status = %s AND attempt = %s"
    values = [stored.id, stored.status.value, stored.attempt]
    if unique is not None:
        cursor.execute(f"SELECT 1 {as_seen} {engine.for_update}", values)
        if cursor.fetchone() is None or not uniques.may_start_again(engine, cursor, unique, stored.id, now_us):
            return False
    cursor.execute(f"DELETE {as_seen}", values)
    if cursor.rowcount != 1:
        return False
    row = JobRow(
        id=stored.id, task=stored.task, queue=stored.queue, priority=stored.priority, body=stored.body,
        body_bytes=len(stored.body.encode()), id_given=stored.id_given, enqueued_us=now_us, at_us=now_us,
        expires_us=None,
        failures=0, crashes=0, suspect=False, parked=False, cancel_requested=False, started_us=None,
        attempts=stored.attempts, unique_key=unique.key if unique else None,
        gate=GATE + bounds.limit.key if bounds and bounds.limit else None, fair_key=bounds.fair if bounds else None,
    )  # fmt: skip
    ((row, _),) = turns.enter(engine, cursor, [(row, False)], now_us)
    engine.insert(cursor, JOB, JOB_COLUMNS, [row])
    turns.keep(engine, cursor, [row])
    if row.gate is None:
        engine.insert(cursor, READY, READY_COLUMNS, [row.ready(stored.attempt)])
    else:
        engine.insert(cursor, DUE, DUE_COLUMNS, [row.due(stored.attempt)])
    return True


def mark_started(engine: Engine, cursor: Any, running: Sequence[tuple[str, int, int]]) -> list[str]:
    """Note when long jobs have started; return those to be cancelled. An attempt that is over changes nothing."""
    claimed = claims_of(cursor, [job_id for job_id, _, _ in running])
    held = [item for item in sorted(running) if item[0] in claimed and claimed[item[0]][1] == item[1]]
    if not held:
        return []
    cursor.executemany(
        f"UPDATE {JOB} SET started_us = %s WHERE id = %s AND started_us IS NULL",
        [(started_us, job_id) for job_id, _, started_us in held],
    )
    ids = [job_id for job_id, _, _ in held]
    cursor.execute(f"SELECT id FROM {JOB} WHERE id IN {in_list(len(ids))} AND cancel_requested", ids)
    return [row[0] for row in cursor.fetchall()]


def cancels_of(cursor: Any, ids: Sequence[str]) -> dict[str, bool]:
    """Return the claimed jobs whose cancel is requested; True for one that is to be terminated.

    A job that waits is never flagged: its cancel ends it, and one that would go back with a flag ends, too.
    """
    found: dict[str, bool] = {}
    for chunk in chunks(ids, 500):
        cursor.execute(
            f"SELECT id, terminate_requested FROM {JOB} WHERE id IN {in_list(len(chunk))} AND cancel_requested",
            list(chunk),
        )
        found.update((job_id, bool(terminate)) for job_id, terminate in cursor.fetchall())
    return found
