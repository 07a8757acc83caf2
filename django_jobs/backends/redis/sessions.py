"""Sessions and their orders on Redis: one script each, by the server's clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.scripts import ORDER, SESSION, SESSIONS
from django_jobs.core.claim import ClaimName
from django_jobs.core.control import ORDERS_KEPT, Order, Standing, encode_order, read_orders
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.ports.broker import Renewal


class SessionRow(msgspec.Struct, frozen=True, array_like=True):
    """What people see of a session, as it is stored."""

    worker: str
    host: str
    pid: int
    state: str
    details: str


_read_row: Final = msgspec.json.Decoder(SessionRow).decode
_write_row: Final = msgspec.json.Encoder().encode


def open_session(family: Family, session: SessionInfo) -> None:
    """Make it known, unless it is dead."""
    family.run(SESSION, ["open", session.id, _row(session)])


def renew(family: Family, session: SessionInfo) -> Renewal:
    """Renew it, unless it is dead, and read the names of its claims."""
    fields = family.run(SESSION, ["renew", session.id, _row(session)])
    if fields is None:
        return Renewal(alive=False)
    return Renewal(alive=True, held=tuple(name_of(session.id, field) for field in fields))


def close_session(family: Family, session_id: str) -> None:
    """Declare it dead."""
    family.run(SESSION, ["close", session_id])


def read_sessions(family: Family) -> list[SessionInfo]:
    """Return all that are known, oldest first."""
    known = [_info(*row) for row in family.run(SESSIONS)]
    return sorted(known, key=lambda session: (session.started_us, session.id))


def give_order(family: Family, session_id: str, order: Order) -> int:
    """Add to its list, if it lives."""
    return int(family.run(ORDER, ["give", session_id, order.id, encode_order(order), ORDERS_KEPT]))


def orders_of(family: Family, session_id: str, after: int) -> Sequence[Standing]:
    """Read its list, if it lives."""
    return read_orders(family.run(ORDER, ["read", session_id]).decode(), after=after)


def name_of(session: str, field: bytes) -> ClaimName:
    """Return the name of a claim, by its field in the claims of its session."""
    child, number = field.decode().split("/")
    return ClaimName(session, int(child), int(number))


def _row(session: SessionInfo) -> bytes:
    return _write_row(SessionRow(session.worker, session.host, session.pid, session.state.value, session.details))


def _info(session_id: bytes, stored: bytes, renewed: bytes, lives: int) -> SessionInfo:
    times, _, row = stored.partition(b":")
    started, renewals = times.split(b" ")[:2]
    seen = _read_row(row)
    return SessionInfo(
        id=session_id.decode(), worker=seen.worker, host=seen.host, pid=seen.pid,
        state=SessionState(seen.state) if lives else SessionState.DEAD, started_us=int(started),
        renewed_us=int(renewed), renewals=int(renewals), details=seen.details,
    )  # fmt: skip
