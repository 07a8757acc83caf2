"""Sessions: opened, renewed, declared dead; what the dead held goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_jobs.backends.database import uniques
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.ledger import GiveBack, give_back
from django_jobs.backends.database.rows import CLAIMED, MARK, SESSION, in_list
from django_jobs.core.claim import ClaimName
from django_jobs.core.control import Order, Standing, append_order, read_orders
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.ports.broker import Renewal, Rescued

DEAD_SESSION_KEPT_SECONDS = 86_400
"""A dead session's row stays so long, so that a worker that wakes up is told."""

COLUMNS = ("id", "worker", "host", "pid", "state", "started_us", "renewed_us", "renewals", "details")


def open_session(engine: Engine, cursor: Any, session: SessionInfo) -> None:
    """Insert the session's row, alive."""
    now_us = engine.now_us(cursor)
    row = (
        session.id, session.worker[:255], session.host[:255], session.pid, session.state.value, now_us, now_us, 0,
        session.details,
    )  # fmt: skip
    engine.insert(cursor, SESSION, COLUMNS, [row], ignore=True)


def renew(engine: Engine, cursor: Any, session: SessionInfo) -> Renewal:
    """Move `renewed_us`, unless the session is dead, and read the names of its claims."""
    cursor.execute(
        f"UPDATE {SESSION} SET renewed_us = %s, renewals = renewals + 1, state = %s, details = %s"
        " WHERE id = %s AND state <> %s",
        [engine.now_us(cursor), session.state.value, session.details, session.id, SessionState.DEAD.value],
    )
    if cursor.rowcount != 1:
        return Renewal(alive=False)
    cursor.execute(f"SELECT name FROM {CLAIMED} WHERE session_id = %s", [session.id])
    return Renewal(alive=True, held=tuple(ClaimName.parse(row[0]) for row in cursor.fetchall()))


def close_session(engine: Engine, cursor: Any, session_id: str) -> None:
    """Drop the row; claims without a session are rescued."""
    cursor.execute(f"DELETE FROM {SESSION} WHERE id = %s", [session_id])


def give_order(engine: Engine, cursor: Any, session_id: str, order: Order) -> int:
    """Add to the list in the session's row, if it lives; the row is locked from the look to the write."""
    cursor.execute(
        f"SELECT orders FROM {SESSION} WHERE id = %s AND state <> %s {engine.for_update}",
        [session_id, SessionState.DEAD.value],
    )
    row = cursor.fetchone()
    if row is None:
        return 0
    text, number = append_order(row[0] or "", order)
    cursor.execute(f"UPDATE {SESSION} SET orders = %s WHERE id = %s", [text, session_id])
    return number


def orders_of(cursor: Any, session_id: str, after: int) -> Sequence[Standing]:
    """Read the list of a living session."""
    cursor.execute(f"SELECT orders FROM {SESSION} WHERE id = %s AND state <> %s", [session_id, SessionState.DEAD.value])
    row = cursor.fetchone()
    return read_orders(row[0], after=after) if row is not None and row[0] else ()


def read_sessions(cursor: Any) -> list[SessionInfo]:
    """Return every row, oldest first."""
    cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {SESSION} ORDER BY started_us, id")
    return [
        SessionInfo(**{**dict(zip(COLUMNS, row, strict=True)), "state": SessionState(row[4])})
        for row in cursor.fetchall()
    ]


def rescue(engine: Engine, cursor: Any, make: GiveBack, *, timeout_seconds: float, limit: int) -> Rescued:
    """Declare expired sessions dead, then give back at most `limit` jobs of sessions that are dead or gone."""
    now_us = engine.now_us(cursor)
    died = _declare_dead(engine, cursor, now_us - round(timeout_seconds * 1_000_000))
    names, jobs = _orphans(engine, cursor, limit)
    given = give_back(engine, cursor, names, make) if names else 0
    return Rescued(sessions=tuple(died), jobs=given, more=jobs >= limit)


def _declare_dead(engine: Engine, cursor: Any, before_us: int) -> list[str]:
    cursor.execute(
        f"SELECT id FROM {SESSION} WHERE state <> %s AND renewed_us < %s ORDER BY id",
        [SessionState.DEAD.value, before_us],
    )
    died = []
    for (session_id,) in cursor.fetchall():
        cursor.execute(
            f"UPDATE {SESSION} SET state = %s WHERE id = %s AND state <> %s AND renewed_us < %s",
            [SessionState.DEAD.value, session_id, SessionState.DEAD.value, before_us],
        )
        if cursor.rowcount == 1:
            died.append(session_id)
    return died


def _orphans(engine: Engine, cursor: Any, limit: int) -> tuple[list[str], int]:
    """Return names of claims without a live session, and how many jobs they hold, up to about `limit`."""
    cursor.execute(
        f"SELECT c.name, c.size FROM {CLAIMED} c LEFT JOIN {SESSION} s ON s.id = c.session_id"
        " WHERE s.id IS NULL OR s.state = %s ORDER BY c.name LIMIT %s",
        [SessionState.DEAD.value, limit],
    )
    names: list[str] = []
    jobs = 0
    for name, size in cursor.fetchall():
        if names and jobs + size > limit:
            return names, limit
        names.append(name)
        jobs += size
    return names, jobs


def sweep(engine: Engine, cursor: Any, limit: int) -> int:
    """Drop old marks and keys, and the rows of sessions that died long ago."""
    now_us = engine.now_us(cursor)
    cursor.execute(f"SELECT id FROM {MARK} WHERE until_us <= %s ORDER BY until_us LIMIT %s", [now_us, limit])
    marks = [row[0] for row in cursor.fetchall()]
    engine.delete_by_id(cursor, MARK, "id", marks)
    cursor.execute(
        f"SELECT id FROM {SESSION} WHERE state = %s AND renewed_us < %s LIMIT %s",
        [SessionState.DEAD.value, now_us - DEAD_SESSION_KEPT_SECONDS * 1_000_000, limit],
    )
    old = [row[0] for row in cursor.fetchall()]
    if old:
        cursor.execute(f"DELETE FROM {SESSION} WHERE id IN {in_list(len(old))}", old)
    return len(marks) + len(old) + uniques.drop_over(engine, cursor, now_us, limit - len(marks))
