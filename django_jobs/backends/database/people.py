"""What people and callers ask of single jobs and whole queues: cancel, retry, look, count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django_jobs.backends.database import gates, turns, uniques
from django_jobs.backends.database.engine import Engine, decode_jobs
from django_jobs.backends.database.ledger import Ledger
from django_jobs.backends.database.rows import (
    CLAIMED,
    DUE,
    DUE_COLUMNS,
    GATE,
    JOB,
    JOB_COLUMNS,
    MARK,
    PARKED,
    READY,
    READY_COLUMNS,
    RESULT,
    SOON_US,
    SUSPECTS,
    JobRow,
    chunks,
    in_list,
)  # fmt: skip
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import JobView, Kind, Outcome, StoredResult
from django_jobs.core.states import State
from django_jobs.ports.broker import CancelAnswer, QueueStats

NOBODY = ClaimName("", 0, 0)


def cancel(engine: Engine, cursor: Any, job_id: str) -> CancelAnswer:
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
        cursor.execute(f"UPDATE {JOB} SET cancel_requested = %s WHERE id = %s", [True, job_id])
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
    # A place only moves on: the second look is for what was promoted in between.
    looks: Sequence[tuple[str, str, Sequence[Any]]] = (later, in_line, let_in)
    if row.gate is None:
        looks = (in_line, later, in_line)
    if row.fair_key is not None:
        looks = (later, (*in_line[:2], row.before_its_turn(0)[:4]), in_line, let_in)
    for table, where, key in looks:
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


def ready_queues(engine: Engine, cursor: Any) -> tuple[list[str], bool]:
    """Walk the distinct lines of Ready by its index, one probe each, and add those of rows that are due.

    Also says whether a row of a limit is due.
    """
    queues: set[str] = set()
    line = ""
    while True:
        cursor.execute(f"SELECT line FROM {READY} WHERE line > %s ORDER BY line LIMIT 1", [line])
        found = cursor.fetchone()
        if found is None or found[0].startswith(GATE):
            break
        line = found[0]
        if line.startswith(PARKED):
            line = PARKED + "\U0010ffff"  # skip all that is parked
            continue
        queues.add(line.removeprefix(SUSPECTS))
    cursor.execute(
        f"SELECT DISTINCT line FROM (SELECT line FROM {DUE} WHERE at_us <= %s ORDER BY at_us LIMIT 500) d",
        [engine.now_us(cursor)],
    )
    due = [row[0] for row in cursor.fetchall()]
    queues.update(line.removeprefix(SUSPECTS) for line in due if not line.startswith(GATE))
    return sorted(queues), any(line.startswith(GATE) for line in due)


def suspect_queues(cursor: Any) -> list[str]:
    """Walk the distinct lines of suspects: keys compare byte by byte, so that they stand together."""
    queues: list[str] = []
    line = SUSPECTS
    while True:
        cursor.execute(f"SELECT line FROM {READY} WHERE line > %s ORDER BY line LIMIT 1", [line])
        found = cursor.fetchone()
        if found is None or not found[0].startswith(SUSPECTS):
            return queues
        line = found[0]
        queues.append(line.removeprefix(SUSPECTS))


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


def claims_of(cursor: Any, ids: Collection[str]) -> dict[str, tuple[ClaimName, int]]:
    """Return job id -> (claim, attempt) of those that are claimed: reads the claims of all workers, one row each."""
    wanted = frozenset(ids)
    if not wanted:
        return {}
    cursor.execute(f"SELECT name, jobs FROM {CLAIMED}")
    return {
        job_id: (ClaimName.parse(name), attempt)
        for name, jobs in cursor.fetchall()
        for job_id, attempt in decode_jobs(jobs)
        if job_id in wanted
    }


def unpark(engine: Engine, cursor: Any, tasks: Collection[str]) -> int:
    """Move jobs that were parked under `tasks` back to their queues."""
    moved = 0
    for task in sorted(tasks):
        while parked := engine.pick_ready(cursor, PARKED + task, 500):
            engine.delete_ready(cursor, [row[:4] for row in parked])
            rows = engine.read_jobs(cursor, [row[3] for row in parked], lock=True)
            back = [rows[row[3]]._replace(parked=False).ready(row[4]) for row in parked if row[3] in rows]
            engine.insert(cursor, READY, READY_COLUMNS, back)
            waiting = {row.gate: None for row in rows.values() if row.gate is not None}
            gates.open_gates(engine, cursor, waiting, engine.now_us(cursor))
            ids = list(rows)
            cursor.execute(f"UPDATE {JOB} SET parked = %s WHERE id IN {in_list(len(ids))}", [False, *ids])
            moved += len(back)
    return moved


VIEW_COLUMNS = ", ".join(f"j.{name}" for name in JOB_COLUMNS)
PLACES = (
    f" FROM {JOB} j LEFT JOIN {READY} r ON r.line = CASE WHEN j.parked THEN {{parked}}"
    f" WHEN j.suspect THEN {{suspect}} ELSE j.queue END"
    " AND r.rank_no = 100 - j.priority AND r.at_us = COALESCE(j.place_us, j.at_us) AND r.job_id = j.id"
    f" LEFT JOIN {DUE} d ON d.at_us = j.at_us AND d.job_id = j.id"
    f" LEFT JOIN {READY} g ON g.line = j.gate AND g.rank_no = 100 - j.priority"
    " AND g.at_us = COALESCE(j.place_us, j.at_us)"
    " AND g.job_id = j.id"
)
ATTEMPTS = "COALESCE(r.attempt, g.attempt), d.attempt, g.attempt"
"""Of its place in line, of its place in Due, and of the one in front of its limit."""
IS_NEW = f"(j.gate IS NOT NULL AND j.failures = 0 AND j.at_us <= j.enqueued_us + {SOON_US})"
"""A limited job begins in Due, whether it may start or not; it was not enqueued for later."""


def _places(engine: Engine) -> str:
    return PLACES.format(
        parked=engine.concat(f"'{PARKED}'", "j.task"), suspect=engine.concat(f"'{SUSPECTS}'", "j.queue")
    )


def state_of(engine: Engine, cursor: Any, ids: Sequence[str]) -> dict[str, JobView]:
    """Return live jobs by id."""
    views: dict[str, JobView] = {}
    for chunk in chunks(ids, 500):
        cursor.execute(
            f"SELECT {VIEW_COLUMNS}, {ATTEMPTS}{_places(engine)} WHERE j.id IN {in_list(len(chunk))}",
            list(chunk),
        )
        views.update((view.id, view) for view in _views(cursor))
    return views


def list_jobs(
    engine: Engine, cursor: Any, *, queue: str | None, state: State | None, task: str | None, parked: bool | None,
    after: str, limit: int,
) -> list[JobView]:  # fmt: skip
    """Return a page of live jobs by id."""
    where = ["j.id > %s"]
    params: list[Any] = [after]
    for column, value in (("queue", queue), ("task", task)):
        if value is not None:
            where.append(f"j.{column} = %s")
            params.append(value)
    if parked is not None:
        where.append(f"{'' if parked else 'NOT '}(j.parked OR g.attempt IS NOT NULL)")
    if state is not None:
        where.append(_STATE_SQL.get(state, "1 = 0"))
    cursor.execute(
        f"SELECT {VIEW_COLUMNS}, {ATTEMPTS}{_places(engine)} WHERE {' AND '.join(where)} ORDER BY j.id LIMIT %s",
        [*params, limit],
    )
    return _views(cursor)


def _views(cursor: Any) -> list[JobView]:
    rows = cursor.fetchall()
    claimed = claims_of(cursor, [row[0] for row in rows if row[-3] is None and row[-2] is None])
    return [_view(row, *claimed.get(row[0], (None, 0))) for row in rows]


_STATE_SQL = {
    State.QUEUED: f"(r.attempt IS NOT NULL OR g.attempt IS NOT NULL OR (d.attempt IS NOT NULL AND {IS_NEW}))",
    State.SCHEDULED: f"d.attempt = 0 AND NOT {IS_NEW}",
    State.RETRYING: f"d.attempt > 0 AND NOT {IS_NEW}",
    State.RUNNING: "r.attempt IS NULL AND d.attempt IS NULL AND g.attempt IS NULL",
}


def _view(row: Sequence[Any], claim: ClaimName | None, attempt: int) -> JobView:
    job = JobRow._make(row[: len(JOB_COLUMNS)])
    in_ready, in_due, at_gate = row[-3:]
    is_new = job.gate is not None and not job.failures and job.at_us <= job.enqueued_us + SOON_US
    if in_ready is not None or (in_due is not None and is_new):
        state = State.QUEUED
    elif in_due is not None:
        state = State.RETRYING if in_due else State.SCHEDULED
    else:  # between two steps of a promotion a job that takes turns stands in none of its lines
        state = State.RUNNING if claim is not None or job.fair_key is None else State.QUEUED
    return JobView(
        id=job.id, task=job.task, queue=job.queue, state=state, body=job.body, priority=job.priority,
        parked="unknown task" if job.parked else "limit" if at_gate is not None else "",
        attempt=in_ready or in_due or attempt, failures=job.failures,
        crashes=job.crashes, suspect=bool(job.suspect), cancel_requested=bool(job.cancel_requested),
        enqueued_us=job.enqueued_us, due_us=job.at_us if in_due is not None and not is_new else None,
        expires_us=job.expires_us, started_us=job.started_us, claim=claim, attempts=job.attempts, place=job.id,
    )  # fmt: skip


def stats(engine: Engine, cursor: Any) -> list[QueueStats]:
    """Count the rows of each queue. It reads them all: for people, not for the hot path."""
    now_us = engine.now_us(cursor)
    cursor.execute(
        "SELECT j.queue, SUM(CASE WHEN (r.attempt IS NOT NULL AND NOT j.parked)"
        f" OR (d.attempt IS NOT NULL AND {IS_NEW}) THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN (r.attempt IS NOT NULL AND j.parked) OR g.attempt IS NOT NULL THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN d.attempt = 0 AND NOT {IS_NEW} THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN d.attempt > 0 AND NOT {IS_NEW} THEN 1 ELSE 0 END),"
        " COUNT(*), MIN(CASE WHEN r.attempt IS NOT NULL AND NOT j.parked THEN j.at_us END)"
        f"{_places(engine)} GROUP BY j.queue ORDER BY j.queue"
    )
    return [
        QueueStats(
            queue=queue, queued=int(queued), parked=int(parked), scheduled=int(scheduled), retrying=int(retrying),
            running=int(total - queued - parked - scheduled - retrying),
            oldest_seconds=max(0.0, (now_us - int(oldest)) / 1e6) if oldest is not None else 0.0,
        )
        for queue, queued, parked, scheduled, retrying, total, oldest in cursor.fetchall()
    ]  # fmt: skip
