"""Unique keys: one row for each key that is held, whose primary key decides between enqueuers.

Nothing is locked where the key is held: the enqueue only reads. So a transaction of the caller's that stays open for
long stops no worker; another enqueue of the same new key waits for it, as for any unique index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import DUE, READY, UNIQUE, JobRow
from django_jobs.core.bounds import Unique
from django_jobs.exceptions import BrokerUnavailable

COLUMNS: Final = ("name", "job_id", "until_us", "until_start")
TRIES: Final = 50
PLACE: Final = f"SELECT attempt FROM {READY} WHERE line = %s AND rank_no = %s AND at_us = %s AND job_id = %s"


class Member(NamedTuple):
    """A row."""

    job_id: str
    until_us: int | None
    until_start: bool


def take(engine: Engine, cursor: Any, unique: Unique, job_id: str, now_us: int) -> str | None:
    """Take a key for a job; return the id of the job that holds it, or None where it was taken."""
    until_us = None if unique.for_us is None else now_us + unique.for_us
    for attempt in range(TRIES):
        member = _read(engine, cursor, unique.key, lock=attempt > 0)
        if member is None:
            row = (unique.key, job_id, until_us, unique.until_start)
            if engine.insert_new(cursor, UNIQUE, COLUMNS, row):
                return None
        elif member.job_id != job_id and _is_held(engine, cursor, member, now_us):
            return member.job_id
        elif _take_over(engine, cursor, unique, member.job_id, (job_id, until_us, unique.until_start)):
            return None
    raise BrokerUnavailable(f"Others kept taking the unique key {unique.key!r}; try again. Nothing was enqueued.")


def _read(engine: Engine, cursor: Any, key: str, *, lock: bool) -> Member | None:
    """Read without a lock first; a second look must see what another transaction has just committed."""
    cursor.execute(
        f"SELECT job_id, until_us, until_start FROM {UNIQUE} WHERE name = %s"
        + (f" {engine.for_update}" if lock else ""),
        [key],
    )
    row = cursor.fetchone()
    return None if row is None else Member(row[0], row[1], bool(row[2]))


def _take_over(engine: Engine, cursor: Any, unique: Unique, before: str, values: Sequence[Any]) -> bool:
    cursor.execute(
        f"UPDATE {UNIQUE} SET job_id = %s, until_us = %s, until_start = %s WHERE name = %s AND job_id = %s",
        [*values, unique.key, before],
    )
    return bool(cursor.rowcount == 1)


def _is_held(engine: Engine, cursor: Any, member: Member, now_us: int) -> bool:
    if member.until_us is not None:
        return member.until_us > now_us
    row = engine.read_jobs(cursor, [member.job_id]).get(member.job_id)
    if row is None:
        return False
    return not member.until_start or _has_never_started(cursor, row)


def _has_never_started(cursor: Any, row: JobRow) -> bool:
    """Say whether the job waits and was never claimed: its place says how often it was."""
    for sql, key in (
        (f"SELECT attempt FROM {DUE} WHERE at_us = %s AND job_id = %s", (row.at_us, row.id)),
        (PLACE, row.ready(0)[:4]),
        (PLACE, row.let_in(0)[:4]),
        *((PLACE, key) for key in row.aside()),
        (PLACE, row.before_its_turn(0)[:4]),
    ):
        cursor.execute(sql, key)
        found = cursor.fetchone()
        if found is not None:
            return bool(found[0] == 0)
    return False


def may_start_again(engine: Engine, cursor: Any, unique: Unique, job_id: str, now_us: int) -> bool:
    """Take the key for a job that is started again; False where another one holds it.

    Not one that was held to the start or for a time: they are over.
    """
    if unique.until_start or unique.for_us is not None:
        return True
    return take(engine, cursor, unique, job_id, now_us) is None


def leave(cursor: Any, key: str, job_id: str) -> None:
    """Take a key away from a job that was replaced, for whatever time it was held."""
    cursor.execute(f"DELETE FROM {UNIQUE} WHERE name = %s AND job_id = %s", [key, job_id])


def free(engine: Engine, cursor: Any, members: Sequence[tuple[str, str]]) -> None:
    """Free the keys of jobs that end, but for those that are held for a time.

    One that an open transaction of somebody else's is just taking over is left to it: if it rolls back, the row of a
    job that is not live stays, which is free.
    """
    skip = f"{engine.for_update} SKIP LOCKED" if engine.for_update else ""
    for name, job_id in sorted(members):
        cursor.execute(
            f"SELECT 1 FROM {UNIQUE} WHERE name = %s AND job_id = %s AND until_us IS NULL {skip}", [name, job_id]
        )
        if cursor.fetchone() is not None:
            cursor.execute(f"DELETE FROM {UNIQUE} WHERE name = %s AND job_id = %s", [name, job_id])


def drop_over(engine: Engine, cursor: Any, now_us: int, limit: int) -> int:
    """Drop the rows of keys whose time is over; return how many."""
    cursor.execute(f"SELECT name FROM {UNIQUE} WHERE until_us <= %s ORDER BY until_us LIMIT %s", [now_us, limit])
    keys = [row[0] for row in cursor.fetchall()]
    for name in keys:
        cursor.execute(f"DELETE FROM {UNIQUE} WHERE name = %s AND until_us <= %s", [name, now_us])
    return len(keys)
