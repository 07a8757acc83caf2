"""Outcomes that need a look at the job's row: retries, releases, crashes, cancels, and ends of claims that shrank.

One transaction per call. Rows are locked in one order everywhere (claimed by name, job by id), and the fence filters
per job, so that one stale outcome stops no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from django_jobs.backends.database import gates, uniques
from django_jobs.backends.database.engine import Engine, decode_jobs, encode_jobs
from django_jobs.backends.database.rows import (
    CLAIMED,
    DUE,
    DUE_COLUMNS,
    JOB,
    READY,
    READY_COLUMNS,
    JobRow,
    chunks,
    in_list,
)  # fmt: skip
from django_jobs.core import attempts
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import FINAL, ErrorInfo, Kind, Outcome, StoredResult
from django_jobs.core.states import State


@dataclass(slots=True)
class Ledger:
    """What one call will write, collected job by job, then written table by table."""

    engine: Engine
    now_us: int
    ended: list[StoredResult] = field(default_factory=list)
    dropped: list[tuple[str, bool]] = field(default_factory=list)
    changed: list[JobRow] = field(default_factory=list)
    ready: list[tuple[Any, ...]] = field(default_factory=list)
    due: list[tuple[Any, ...]] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)
    """(unique key, job id) of jobs that end."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """(line, job id) of jobs that leave the places which their limits gave them."""

    def apply(self, row: JobRow, outcome: Outcome) -> None:
        """Decide what becomes of a job whose fence has held."""
        record = outcome.record
        if record is not None:
            row = row._replace(attempts=attempts.append(row.attempts, record))
        if outcome.kind in FINAL:
            failed = outcome.kind is Kind.FAILED
            self.end(row._replace(failures=row.failures + failed), FINAL[outcome.kind], outcome)
        elif outcome.kind is Kind.CRASHED:
            self._crash(row, outcome)
        elif row.cancel_requested:
            self.end(row, State.CANCELLED, outcome)
        elif outcome.kind in {Kind.RETRYING, Kind.SNOOZED}:
            self._retry(row, outcome)
        elif outcome.kind is Kind.UNKNOWN_TASK:
            self.go_back(row._replace(parked=True), outcome.attempt, changed=True)
        else:
            self.go_back(
                row._replace(started_us=None), outcome.attempt, changed=row.started_us is not None or bool(record)
            )

    def go_back(self, row: JobRow, attempt: int, *, changed: bool) -> None:
        """Put a job back in line, at its old place."""
        self._leave(row)
        if changed:
            self.changed.append(row)
        self.ready.append(row.ready(attempt))

    def end(self, row: JobRow, state: State, outcome: Outcome) -> None:
        """End a job: its row goes, its result (or a mark) stays."""
        self._leave(row)
        if row.unique_key is not None:
            self.keys.append((row.unique_key, row.id))
        if state is State.SUCCEEDED and not outcome.keep:
            self.dropped.append((row.id, bool(row.id_given)))
            return
        self.ended.append(ended(row, state, outcome, now_us=self.now_us))

    def _retry(self, row: JobRow, outcome: Outcome) -> None:
        delay_us = round(outcome.delay_seconds * 1_000_000)
        failures = row.failures + (outcome.kind is Kind.RETRYING)
        row = row._replace(failures=failures, crashes=0, suspect=False, started_us=None)
        row = row._replace(at_us=self.now_us + max(0, delay_us))
        if delay_us <= 0:
            self.go_back(row, outcome.attempt, changed=True)  # its turn, if it has one, stays its own
            return
        row = row._replace(place_us=None)
        self._leave(row)
        self.changed.append(row)
        self.due.append(row.due(outcome.attempt))

    def _leave(self, row: JobRow) -> None:
        if row.gate is not None:
            self.left.append((row.gate, row.id))

    def _crash(self, row: JobRow, outcome: Outcome) -> None:
        charged = outcome.charged or row.suspect
        row = row._replace(crashes=row.crashes + charged, suspect=True, started_us=None)
        if charged and row.crashes >= outcome.max_crashes:
            self.end(row, State.QUARANTINED, outcome)
        elif row.cancel_requested:
            self.end(row, State.CANCELLED, outcome)
        else:
            self.go_back(row, outcome.attempt, changed=True)

    def write(self, cursor: Any) -> None:
        """Write all that was collected."""
        gone = [stored.id for stored in self.ended] + [job_id for job_id, _ in self.dropped]
        self.engine.delete_by_id(cursor, JOB, "id", gone)
        if self.changed:
            cursor.executemany(
                f"UPDATE {JOB} SET failures = %s, crashes = %s, suspect = %s, parked = %s, at_us = %s, place_us = %s,"
                " started_us = %s, attempts = %s WHERE id = %s",
                [
                    (
                        r.failures,
                        r.crashes,
                        bool(r.suspect),
                        bool(r.parked),
                        r.at_us,
                        r.place_us,
                        r.started_us,
                        r.attempts,
                        r.id,
                    )
                    for r in self.changed
                ],
            )
        self.engine.insert(cursor, READY, READY_COLUMNS, self.ready)
        self.engine.insert(cursor, DUE, DUE_COLUMNS, self.due)
        self.engine.keep_results(cursor, self.ended, self.now_us)
        self.engine.mark(cursor, [job_id for job_id, given in self.dropped if given], self.now_us)
        if self.keys:
            uniques.free(self.engine, cursor, self.keys)
        if self.left:
            gates.leave(cursor, self.left)
            gates.open_gates(self.engine, cursor, {line: None for line, _ in self.left}, self.now_us)


def ended(row: JobRow, state: State, outcome: Outcome, *, now_us: int) -> StoredResult:
    """Return what is kept of a job that ends."""
    error = outcome.error or ErrorInfo(error_class="")
    return StoredResult(
        id=row.id, task=row.task, queue=row.queue, status=state, body=row.body, priority=row.priority,
        id_given=bool(row.id_given), result=outcome.result if state is State.SUCCEEDED else "",
        error_class=error.error_class, error_message=error.message, traceback=error.traceback, attempts=row.attempts,
        attempt=outcome.attempt, failures=row.failures, crashes=row.crashes, enqueued_us=row.enqueued_us,
        started_us=outcome.started_us if outcome.started_us is not None else row.started_us,
        finished_us=outcome.finished_us or now_us, worker=outcome.worker,
    )  # fmt: skip


def settle(engine: Engine, cursor: Any, outcomes: Sequence[Outcome]) -> list[str]:
    """Settle outcomes one by one against the stored claims; return the ids that were stale."""
    now_us = engine.now_us(cursor)
    held = lock_claims(engine, cursor, {str(outcome.name) for outcome in outcomes})
    stale: list[str] = []
    valid: list[Outcome] = []
    for outcome in outcomes:
        jobs = held.get(str(outcome.name), {})
        if jobs.get(outcome.id) == outcome.attempt:
            del jobs[outcome.id]
            valid.append(outcome)
        else:
            stale.append(outcome.id)
    if valid:
        ledger = Ledger(engine, now_us)
        rows = engine.read_jobs(cursor, [outcome.id for outcome in valid], lock=True)
        for outcome in valid:
            if outcome.id in rows:  # a row that somebody deleted by hand has nothing left to settle
                ledger.apply(rows[outcome.id], outcome)
        ledger.write(cursor)
        write_claims(engine, cursor, {name: held[name] for name in {str(outcome.name) for outcome in valid}})
    return stale


def give_back(engine: Engine, cursor: Any, names: Collection[str], make: GiveBack) -> int:
    """Apply an outcome made by `make` to every job that is left of these claims; return how many."""
    outcomes = [
        make(job_id, attempt, name)
        for name, jobs in lock_claims(engine, cursor, names).items()
        for job_id, attempt in jobs.items()
    ]
    rows = engine.read_jobs(cursor, [outcome.id for outcome in outcomes], lock=True)
    ledger = Ledger(engine, engine.now_us(cursor))
    for outcome in outcomes:
        row = rows.get(outcome.id)
        if row is not None:
            ledger.apply(row, make.for_task(outcome, row.task))
    ledger.write(cursor)
    engine.delete_by_id(cursor, CLAIMED, "name", names)
    return len(outcomes)


class GiveBack:
    """Makes the outcome of a job whose claim ends without its child: released, or crashed with its session."""

    def __init__(self, *, kind: Kind, cause: str, max_crashes: int = 0, at_most_once: Iterable[str] = ()) -> None:
        self.kind = kind
        self.cause = cause
        self.max_crashes = max_crashes
        self.at_most_once = frozenset(at_most_once)

    def __call__(self, job_id: str, attempt: int, name: str) -> Outcome:
        record = AttemptRecord(attempt=attempt, cause=self.cause)
        return Outcome(
            id=job_id, name=ClaimName.parse(name), attempt=attempt, kind=self.kind, record=record,
            max_crashes=self.max_crashes,
            error=ErrorInfo(
                error_class="django_jobs.exceptions.WorkerLostError",
                message=f"The worker that held this job is gone ({self.cause}).",
            ),
        )  # fmt: skip

    def for_task(self, outcome: Outcome, task: str) -> Outcome:
        """A job of an at-most-once task does not run again: it fails."""
        if self.kind is Kind.CRASHED and task in self.at_most_once:
            return replace(outcome, kind=Kind.FAILED)
        return outcome


def lock_claims(engine: Engine, cursor: Any, names: Collection[str]) -> dict[str, dict[str, int]]:
    """Lock claims in the order of their names; return name -> {job id: attempt}."""
    held: dict[str, dict[str, int]] = {}
    for chunk in chunks(sorted(names), 500):
        cursor.execute(
            f"SELECT name, jobs FROM {CLAIMED} WHERE name IN {in_list(len(chunk))} ORDER BY name {engine.for_update}",
            list(chunk),
        )
        held.update((name, dict(decode_jobs(jobs))) for name, jobs in cursor.fetchall())
    return held


def write_claims(engine: Engine, cursor: Any, held: dict[str, dict[str, int]]) -> None:
    """Store what is left of claims; an empty one goes."""
    engine.delete_by_id(cursor, CLAIMED, "name", [name for name, jobs in held.items() if not jobs])
    left = [(len(jobs), encode_jobs(list(jobs.items())).decode(), name) for name, jobs in sorted(held.items()) if jobs]
    if left:
        cursor.executemany(f"UPDATE {CLAIMED} SET size = %s, jobs = %s WHERE name = %s", left)
