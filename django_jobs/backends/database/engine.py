"""The hot statements of a vendor: enqueue, settle what ended plainly, promote, claim. SQLite and MySQL share this form.

Tables: see models/. Each method runs inside one transaction of the caller's and takes its locks in one order:
claimed, job, ready, due, result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.lines import NOTHING_PAUSED, lines_of, within
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
    chunks,
    in_list,
    new_job,
    result_row,
)  # fmt: skip
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import StoredResult

PROMOTE_LIMIT: Final = 500
ASIDE_AT_ONCE: Final = 1000
ROWS_PER_STATEMENT: Final = 500

encode_jobs = msgspec.json.Encoder().encode
decode_jobs = msgspec.json.Decoder(list[tuple[str, int]]).decode


class PlainEnds(NamedTuple):
    """Jobs of one claim that ended with nothing to look up: success or final failure, all known to the child."""

    name: str
    size: int
    """How many jobs the stored claim must still hold: anything else means that somebody took part of it away."""
    left: list[tuple[str, int]]
    """(id, attempt) that stay claimed."""
    results: list[StoredResult]
    """Kept."""
    dropped: list[tuple[str, bool]]
    """(id, id_given) of successes that are not kept."""


class Picked(NamedTuple):
    """The answer of a claim before it is made into Claims: job rows with the new attempt."""

    rows: list[tuple[JobRow, int]]
    more: bool
    next_due_us: int | None
    """Microseconds until the earliest row of Due; not positive when one is due already."""
    now_us: int
    swept: bool = True
    """Whether all of the lines was looked at."""


class Engine(ABC):
    """Vendor-specific SQL behind DatabaseBroker."""

    insert_ignore: str

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.shift_us = 0
        """Added to the clock, so that tests can move time."""
        self.heads: dict[tuple[str, int], int] = {}
        """Where lines began when this process looked last, for keys of turns; see turns.py."""

    # -- vendor's words ----------------------------------------------------------------------------------------

    @abstractmethod
    def now_us(self, cursor: Any) -> int:
        """Read the database's clock, microseconds since 1970."""

    @abstractmethod
    def pick_ready(self, cursor: Any, line: str, limit: int) -> list[tuple[Any, ...]]:
        """Lock and return at most `limit` rows (READY_COLUMNS) of a line, best first, skipping what others lock."""

    @abstractmethod
    def delete_ready(self, cursor: Any, keys: Sequence[tuple[Any, ...]]) -> None:
        """Delete rows of Ready by (line, rank_no, at_us, job_id)."""

    @abstractmethod
    def delete_due(self, cursor: Any, keys: Sequence[tuple[int, str]]) -> None:
        """Delete rows of Due by (at_us, job_id)."""

    @abstractmethod
    def pick_due(self, cursor: Any, now_us: int, limit: int) -> list[tuple[Any, ...]]:
        """Lock and return rows (DUE_COLUMNS) that are due, skipping those locked by others."""

    for_update: str = ""
    """Appended to a SELECT that locks."""
    enqueues_in_one_statement = False
    """Whether `enqueue` is one statement, and needs no transaction, where no id is given."""
    open_gates: Callable[[Any, Sequence[tuple[Any, ...]], int], None]
    """Lets in who waits at the limits to which rows of Due belong: `(cursor, due, now_us)`."""
    keep_back: Callable[[Any, Sequence[tuple[Any, ...]]], list[tuple[Any, ...]]]
    """Puts jobs aside that are paused: `(cursor, rows of Ready) -> the others`."""
    pauses: Collection[str] = NOTHING_PAUSED
    """What was paused when last looked: for each claim what its own statement reads, for whoever lets in a hint."""
    channel: str = "django_jobs"
    """Where a vendor that can notifies of new jobs."""

    def concat(self, *parts: str) -> str:
        """Return the expression that joins text expressions."""
        return f"({' || '.join(parts)})"

    # -- one round ---------------------------------------------------------------------------------------------

    def exchange(
        self, connection: Connection, ends: Sequence[PlainEnds], want: Want | None
    ) -> tuple[list[str], Picked | None]:
        """Settle plain ends and claim, in one transaction; return the names of the claims that were whole."""
        if want is not None and not ends:
            idle = connection.statement(lambda cursor: self._peek(cursor, want))
            if idle is not None:
                return [], idle

        def step(cursor: Any) -> tuple[list[str], Picked | None]:
            whole = self.settle_plain(cursor, ends, self.now_us(cursor)) if ends else []
            return whole, self.claim(cursor, want) if want is not None else None

        return connection.transaction(step)

    def _peek(self, cursor: Any, want: Want) -> Picked | None:
        """Look without a lock whether there is nothing to claim: an idle worker must not hold up the others."""
        now_us = self.now_us(cursor)
        cursor.execute(f"SELECT (SELECT MIN(at_us) FROM {DUE}), (SELECT COUNT(*) FROM {PAUSE})")
        earliest, pauses = cursor.fetchone()
        if earliest is not None and earliest <= now_us:
            return None
        if pauses:
            cursor.execute(f"SELECT target FROM {PAUSE}")
            self.pauses = frozenset(row[0] for row in cursor.fetchall())
        else:
            self.pauses = NOTHING_PAUSED
        for line in lines_of(want, self.pauses):
            cursor.execute(f"SELECT 1 FROM {READY} WHERE line = %s LIMIT 1", [line])
            if cursor.fetchone() is not None:
                return None
        return Picked([], False, None if earliest is None else earliest - now_us, now_us)

    # -- enqueue -----------------------------------------------------------------------------------------------

    def enqueue(self, cursor: Any, messages: Sequence[Message]) -> list[bool]:
        """Insert jobs with their places in line; say which are new."""
        now_us = self.now_us(cursor)
        rows = [new_job(message, now_us=now_us, order=order) for order, message in enumerate(messages)]
        return self.take_in(cursor, rows, now_us)

    def take_in(self, cursor: Any, rows: Sequence[tuple[JobRow, bool]], now_us: int) -> list[bool]:
        """Insert jobs, each with whether it is due later; say which are new."""
        new: list[bool] = []
        for chunk in chunks(rows, ROWS_PER_STATEMENT):
            new += self._insert_jobs(cursor, [row for row, _ in chunk])
        rejected = self.reject_marked(
            cursor, [row.id for (row, _), is_new in zip(rows, new, strict=True) if is_new and row.id_given], now_us
        )
        new = [is_new and row.id not in rejected for (row, _), is_new in zip(rows, new, strict=True)]
        taken = [pair for pair, is_new in zip(rows, new, strict=True) if is_new]
        self.insert(cursor, READY, READY_COLUMNS, [row.ready(0) for row, later in taken if not later])
        self.insert(cursor, DUE, DUE_COLUMNS, [row.due(0) for row, later in taken if later])
        return new

    def _insert_jobs(self, cursor: Any, rows: Sequence[JobRow]) -> list[bool]:
        sql = f"{self.insert_ignore} INTO {JOB} ({', '.join(JOB_COLUMNS)}) VALUES {in_list(len(JOB_COLUMNS))}"
        unique = list({row.id: row for row in reversed(rows)}.values())[::-1]
        if len(unique) == len(rows) > 1 and not any(row.id_given for row in rows):
            # Ids of our own collide only when a caller repeats itself: try all at once, look closer if one was there.
            cursor.execute("SAVEPOINT django_jobs_enqueue")
            cursor.executemany(sql, rows)
            if cursor.rowcount == len(rows):
                cursor.execute("RELEASE SAVEPOINT django_jobs_enqueue")
                return [True] * len(rows)
            cursor.execute("ROLLBACK TO SAVEPOINT django_jobs_enqueue")
        new = []
        for row in rows:
            cursor.execute(sql, row)
            new.append(cursor.rowcount == 1)
        return new

    def reject_marked(self, cursor: Any, ids: Sequence[str], now_us: int) -> set[str]:
        """Take back new jobs whose id has ended before: inserted first, looked at second, no end slips between."""
        rejected: set[str] = set()
        for chunk in chunks(ids, ROWS_PER_STATEMENT):
            cursor.execute(f"SELECT id FROM {RESULT} WHERE id IN {in_list(len(chunk))}", list(chunk))
            rejected.update(row[0] for row in cursor.fetchall())
            cursor.execute(
                f"SELECT id FROM {MARK} WHERE id IN {in_list(len(chunk))} AND until_us > %s", [*chunk, now_us]
            )
            rejected.update(row[0] for row in cursor.fetchall())
        self.delete_by_id(cursor, JOB, "id", list(rejected))
        return rejected

    # -- settle ------------------------------------------------------------------------------------------------

    def settle_plain(self, cursor: Any, ends: Sequence[PlainEnds], now_us: int) -> list[str]:
        """Write the ends of the claims that are still whole; return the names of those that were."""
        whole = [end for end in ends if self._shrink(cursor, end)]
        ids = [stored.id for end in whole for stored in end.results]
        ids += [job_id for end in whole for job_id, _ in end.dropped]
        self.delete_by_id(cursor, JOB, "id", ids)
        self.keep_results(cursor, [stored for end in whole for stored in end.results], now_us)
        self.mark(cursor, [job_id for end in whole for job_id, given in end.dropped if given], now_us)
        return [end.name for end in whole]

    def _shrink(self, cursor: Any, end: PlainEnds) -> bool:
        if end.left:
            sql = f"UPDATE {CLAIMED} SET size = %s, jobs = %s WHERE name = %s AND size = %s"
            cursor.execute(sql, [len(end.left), encode_jobs(end.left).decode(), end.name, end.size])
        else:
            cursor.execute(f"DELETE FROM {CLAIMED} WHERE name = %s AND size = %s", [end.name, end.size])
        return bool(cursor.rowcount == 1)

    def keep_results(self, cursor: Any, results: Sequence[StoredResult], now_us: int) -> None:
        """Insert results; one that is there stays."""
        rows = [result_row(stored, self.stamps, now_us=now_us) for stored in results]
        self.insert(cursor, RESULT, RESULT_COLUMNS, rows, ignore=True)

    def mark(self, cursor: Any, ids: Sequence[str], now_us: int, *, seconds: int = MARK_GIVEN_SECONDS) -> None:
        """Leave marks of ids whose jobs end without a result."""
        if not ids:
            return
        self.delete_by_id(cursor, MARK, "id", ids)  # one that is over, and not swept yet, gives way
        rows = [(job_id, now_us + seconds * 1_000_000) for job_id in sorted(set(ids))]
        self.insert(cursor, MARK, ("id", "until_us"), rows, ignore=True)

    # -- claim -------------------------------------------------------------------------------------------------

    def claim(self, cursor: Any, want: Want) -> Picked:
        """Promote what is due, then take from the lines in order and name the claim."""
        now_us = self.now_us(cursor)
        if self._is_dead(cursor, want.name.session):
            return Picked([], False, None, now_us)
        due = self.pick_due(cursor, now_us, PROMOTE_LIMIT)
        if due:
            self.promote(cursor, due)
        limit = min(want.limit, 1) if want.suspects else want.limit
        picked, more = self._pick(cursor, want, limit)
        rows = self._name(cursor, want.name, picked, now_us) if picked else []
        cursor.execute(f"SELECT MIN(at_us) FROM {DUE}")
        earliest = cursor.fetchone()[0]
        next_due_us = None if earliest is None else earliest - now_us
        return Picked(rows, more or len(picked) >= limit, next_due_us, now_us)

    def _is_dead(self, cursor: Any, session: str) -> bool:
        """Say whether a session is dead; in the same statement learn what is paused."""
        cursor.execute(
            f"SELECT '' FROM {SESSION} WHERE id = %s AND state = 'dead' UNION ALL SELECT target FROM {PAUSE}", [session]
        )
        found = {row[0] for row in cursor.fetchall()}
        self.pauses = frozenset(found - {""})
        return "" in found

    def _pick(self, cursor: Any, want: Want, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Lock rows of Ready, best first; say whether there is more. Jobs of a paused task are put aside."""
        holds = any(target.startswith("task ") for target in self.pauses)
        picked: list[tuple[Any, ...]] = []
        more, room, aside = False, want.max_bytes, 0
        for line in lines_of(want, self.pauses):
            again = True
            while again and len(picked) < limit and not more:
                found = self.pick_ready(cursor, line, limit - len(picked))
                mine = self.keep_back(cursor, found) if holds and found else found
                fitting, room = within(mine, room, first=not picked)
                picked += fitting
                aside += len(found) - len(mine)
                more = len(fitting) < len(mine) or aside >= ASIDE_AT_ONCE
                again = len(mine) < len(found)
                if again:  # a second look must not find what this one has taken: own locks stop nobody
                    self.delete_ready(cursor, [row[:4] for row in fitting])
        return picked, more or aside > 0

    def _name(
        self, cursor: Any, name: ClaimName, picked: Sequence[tuple[Any, ...]], now_us: int
    ) -> list[tuple[JobRow, int]]:
        self.delete_ready(cursor, [row[:4] for row in picked])
        attempts = {row[3]: row[4] + 1 for row in picked}
        sql = f"INSERT INTO {CLAIMED} (name, session_id, size, jobs, claimed_us) VALUES (%s, %s, %s, %s, %s)"
        jobs = encode_jobs(list(attempts.items())).decode()
        cursor.execute(sql, [str(name), name.session, len(attempts), jobs, now_us])
        jobs_by_id = self.read_jobs(cursor, list(attempts))
        return [(jobs_by_id[job_id], attempt) for job_id, attempt in attempts.items() if job_id in jobs_by_id]

    def promote(self, cursor: Any, due: Sequence[tuple[Any, ...]]) -> None:
        """Move rows of Due to Ready, and let in who waits for a limit."""
        self.delete_due(cursor, [row[:2] for row in due])
        rows = [
            (line, rank_no, at_us, job_id, attempt, size)
            for at_us, job_id, line, rank_no, attempt, size in due
            if rank_no != TIMER_RANK
        ]
        self.insert(cursor, READY, READY_COLUMNS, rows)
        if any(row[2].startswith(GATE) for row in due):
            self.open_gates(cursor, due, self.now_us(cursor))

    def promote_due(self, connection: Connection) -> None:
        """Promote what is due, outside of a claim."""

        def step(cursor: Any) -> None:
            if due := self.pick_due(cursor, self.now_us(cursor), PROMOTE_LIMIT):
                self.promote(cursor, due)

        connection.transaction(step)

    def claimed(self, cursor: Any, name: ClaimName) -> list[tuple[JobRow, int]]:
        """Return what is left of a claim that was made before."""
        cursor.execute(f"SELECT jobs FROM {CLAIMED} WHERE name = %s", [str(name)])
        row = cursor.fetchone()
        if row is None:
            return []
        jobs = decode_jobs(row[0])
        by_id = self.read_jobs(cursor, [job_id for job_id, _ in jobs])
        found = [(by_id[job_id], attempt) for job_id, attempt in jobs if job_id in by_id]
        return sorted(found, key=lambda pair: (-pair[0].priority, pair[0].place, pair[0].id))

    # -- shared small steps ------------------------------------------------------------------------------------

    def read_jobs(self, cursor: Any, ids: Sequence[str], *, lock: bool = False) -> dict[str, JobRow]:
        """Return job rows by id, locked in id order if asked."""
        found: dict[str, JobRow] = {}
        for chunk in chunks(sorted(ids), ROWS_PER_STATEMENT):
            cursor.execute(
                f"SELECT {', '.join(JOB_COLUMNS)} FROM {JOB} WHERE id IN {in_list(len(chunk))}"
                + (f" ORDER BY id {self.for_update}" if lock else ""),
                list(chunk),
            )
            found.update((row[0], JobRow._make(row)) for row in cursor.fetchall())
        return found

    def delete_by_id(self, cursor: Any, table: str, column: str, ids: Collection[str]) -> None:
        """Delete rows by one column."""
        for chunk in chunks(sorted(ids), ROWS_PER_STATEMENT):
            cursor.execute(f"DELETE FROM {table} WHERE {column} IN {in_list(len(chunk))}", list(chunk))

    def insert(
        self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Any], *, ignore: bool = False
    ) -> None:
        """Insert rows; with `ignore` one whose key is there stays."""
        if rows:
            verb = self.insert_ignore if ignore else "INSERT"
            cursor.executemany(f"{verb} INTO {table} ({', '.join(columns)}) VALUES {in_list(len(columns))}", rows)

    def insert_new(self, cursor: Any, table: str, columns: Sequence[str], row: Sequence[Any]) -> bool:
        """Insert a row unless its key is there; say whether it was inserted."""
        cursor.execute(f"{self.insert_ignore} INTO {table} ({', '.join(columns)}) VALUES {in_list(len(columns))}", row)
        return bool(cursor.rowcount == 1)

    def notify(self, cursor: Any, queues: Collection[str]) -> None:  # noqa: B027  most vendors have nothing to tell it by
        """Tell idle workers, on commit, that these queues hold something; where the vendor can."""

    def to_claims(self, name: ClaimName, picked: Sequence[tuple[JobRow, int]], now_us: int) -> list[Claim]:
        """Make claims of job rows."""
        return [
            Claim(
                message=Message(
                    id=row.id, task=row.task, queue=row.queue, body=row.body, priority=row.priority,
                    expires_us=row.expires_us, eta_us=row.at_us if row.at_us > row.enqueued_us + SOON_US else None,
                    id_given=bool(row.id_given),
                    bounds=bounds_of(row.body) if row.unique_key or row.gate or row.fair_key is not None else None,
                ),
                name=name, attempt=attempt, failures=row.failures, crashes=row.crashes, suspect=bool(row.suspect),
                expired=row.expires_us is not None and row.expires_us <= now_us, enqueued_us=row.enqueued_us,
                attempts=row.attempts,
            )
            for row, attempt in picked
        ]  # fmt: skip
