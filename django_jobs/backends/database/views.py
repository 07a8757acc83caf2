"""What people and callers see: live jobs by id and by page, and how many there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django_jobs.backends.database import pauses
from django_jobs.backends.database.engine import Engine, decode_jobs
from django_jobs.backends.database.rows import (
    CLAIMED,
    DUE,
    JOB,
    JOB_COLUMNS,
    PARKED,
    READY,
    SOON_US,
    SUSPECTS,
    JobRow,
    aside_line,
    chunks,
    in_list,
)  # fmt: skip
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import JobView
from django_jobs.core.pause import Target
from django_jobs.core.states import State
from django_jobs.ports.broker import QueueStats


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
ASIDES = (
    f" LEFT JOIN {READY} a ON a.line = {{task}} AND a.rank_no = 100 - j.priority"
    " AND a.at_us = COALESCE(j.place_us, j.at_us)"
    f" AND a.job_id = j.id LEFT JOIN {READY} b ON b.line = {{queue}} AND b.rank_no = 100 - j.priority"
    " AND b.at_us = COALESCE(j.place_us, j.at_us) AND b.job_id = j.id"
)
"""Where a job may wait that was put aside since its task or its queue is paused; looked at only where there is one."""
IS_NEW = f"(j.gate IS NOT NULL AND j.failures = 0 AND j.at_us <= j.enqueued_us + {SOON_US})"
"""A limited job begins in Due, whether it may start or not; it was not enqueued for later."""


class Places:
    """How the rows of jobs and their places are read, whether or not some were put aside."""

    def __init__(self, engine: Engine, *, with_asides: bool) -> None:
        self.joins = PLACES.format(
            parked=engine.concat(f"'{PARKED}'", "j.task"), suspect=engine.concat(f"'{SUSPECTS}'", "j.queue")
        )
        self.in_line = "r.attempt"
        """The attempt of its place in line or aside; NULL where it has none there."""
        if with_asides:
            task, queue = aside_line(Target("task", "")), aside_line(Target("queue", ""))
            self.joins += ASIDES.format(
                task=engine.concat(f"'{task}'", "j.task"), queue=engine.concat(f"'{queue}'", "j.queue")
            )
            self.in_line = "COALESCE(r.attempt, a.attempt, b.attempt)"
        self.select = f"SELECT {VIEW_COLUMNS}, COALESCE({self.in_line}, g.attempt), d.attempt, g.attempt{self.joins}"
        """The row, and the attempts of its place in line, of its place in Due, and of the one in front of its limit."""

    def state_is(self, state: State) -> str:
        """Return the condition of a live job's state."""
        return {
            State.QUEUED: f"({self.in_line} IS NOT NULL OR g.attempt IS NOT NULL"
            f" OR (d.attempt IS NOT NULL AND {IS_NEW}))",
            State.SCHEDULED: f"d.attempt = 0 AND NOT {IS_NEW}",
            State.RETRYING: f"d.attempt > 0 AND NOT {IS_NEW}",
            State.RUNNING: f"{self.in_line} IS NULL AND d.attempt IS NULL AND g.attempt IS NULL",
        }.get(state, "1 = 0")


def state_of(engine: Engine, cursor: Any, ids: Sequence[str]) -> dict[str, JobView]:
    """Return live jobs by id."""
    places = Places(engine, with_asides=False)
    views: dict[str, JobView] = {}
    for chunk in chunks(ids, 500):
        views.update(_read(cursor, places, chunk))
    # Neither in a line nor claimed: it is paused, unless somebody takes it just now.
    nowhere = [job_id for job_id, view in views.items() if view.state is State.RUNNING and view.claim is None]
    for chunk in chunks(nowhere, 500):
        views.update(_read(cursor, Places(engine, with_asides=True), chunk))
    return views


def _read(cursor: Any, places: Places, ids: Sequence[str]) -> dict[str, JobView]:
    cursor.execute(f"{places.select} WHERE j.id IN {in_list(len(ids))}", list(ids))
    return {view.id: view for view in _views(cursor)}


def list_jobs(
    engine: Engine, cursor: Any, *, queue: str | None, state: State | None, task: str | None, parked: bool | None,
    after: str, limit: int,
) -> list[JobView]:  # fmt: skip
    """Return a page of live jobs by id."""
    places = Places(engine, with_asides=pauses.is_any_put_aside(cursor))
    where = ["j.id > %s"]
    params: list[Any] = [after]
    for column, value in (("queue", queue), ("task", task)):
        if value is not None:
            where.append(f"j.{column} = %s")
            params.append(value)
    if parked is not None:
        where.append(f"{'' if parked else 'NOT '}(j.parked OR g.attempt IS NOT NULL)")
    if state is not None:
        where.append(places.state_is(state))
    cursor.execute(f"{places.select} WHERE {' AND '.join(where)} ORDER BY j.id LIMIT %s", [*params, limit])
    return _views(cursor)


def _views(cursor: Any) -> list[JobView]:
    rows = cursor.fetchall()
    claimed = claims_of(cursor, [row[0] for row in rows if row[-3] is None and row[-2] is None])
    return [_view(row, *claimed.get(row[0], (None, 0))) for row in rows]


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
    places = Places(engine, with_asides=pauses.is_any_put_aside(cursor))
    in_line = f"{places.in_line} IS NOT NULL"
    cursor.execute(
        f"SELECT j.queue, SUM(CASE WHEN ({in_line} AND NOT j.parked)"
        f" OR (d.attempt IS NOT NULL AND {IS_NEW}) THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN ({in_line} AND j.parked) OR g.attempt IS NOT NULL THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN d.attempt = 0 AND NOT {IS_NEW} THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN d.attempt > 0 AND NOT {IS_NEW} THEN 1 ELSE 0 END),"
        f" COUNT(*), MIN(CASE WHEN {in_line} AND NOT j.parked THEN j.at_us END)"
        f"{places.joins} GROUP BY j.queue ORDER BY j.queue"
    )
    return [
        QueueStats(
            queue=queue, queued=int(queued), parked=int(parked), scheduled=int(scheduled), retrying=int(retrying),
            running=int(total - queued - parked - scheduled - retrying),
            oldest_seconds=max(0.0, (now_us - int(oldest)) / 1e6) if oldest is not None else 0.0,
        )
        for queue, queued, parked, scheduled, retrying, total, oldest in cursor.fetchall()
    ]  # fmt: skip
