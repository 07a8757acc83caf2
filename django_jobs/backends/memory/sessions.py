"""Sessions and their orders in memory; the caller holds the store's lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.control import Order, Standing, append_order, read_orders
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.ports.broker import Renewal

DEAD_SESSION_KEPT_US: Final = 86_400_000_000


def open_session(store: MemoryStore, session: SessionInfo) -> None:
    """Make it known, unless it is dead."""
    known = store.sessions.get(session.id)
    if known is not None and known.state is SessionState.DEAD:
        return
    now_us = store.now_us()
    store.sessions[session.id] = msgspec.structs.replace(
        session, started_us=known.started_us if known else now_us, renewed_us=now_us
    )


def renew(store: MemoryStore, session: SessionInfo) -> Renewal:
    """Renew it, unless it is dead."""
    known = store.sessions.get(session.id)
    if known is None or known.state is SessionState.DEAD:
        return Renewal(alive=False)
    store.sessions[session.id] = msgspec.structs.replace(
        known,
        state=session.state,
        details=session.details,
        renewed_us=store.now_us(),
        renewals=known.renewals + 1,
    )
    return Renewal(alive=True, held=tuple([name for name in store.claims if name.session == session.id]))


def close_session(store: MemoryStore, session_id: str) -> None:
    """Declare it dead."""
    known = store.sessions.get(session_id)
    if known is not None:
        store.sessions[session_id] = msgspec.structs.replace(known, state=SessionState.DEAD)


def give_order(store: MemoryStore, session_id: str, order: Order) -> int:
    """Add to its list, if it lives."""
    if not _lives(store, session_id):
        return 0
    store.orders[session_id], number = append_order(store.orders.get(session_id, ""), order)
    return number


def orders_of(store: MemoryStore, session_id: str, after: int) -> Sequence[Standing]:
    """Read its list, if it lives."""
    return read_orders(store.orders.get(session_id, ""), after=after) if _lives(store, session_id) else ()


def sweep(store: MemoryStore, now_us: int, limit: int) -> int:
    """Forget at most `limit` sessions that died long ago; return how many."""
    over = [session.id for session in store.sessions.values() if _is_over(session, now_us)][:limit]
    for session_id in over:
        del store.sessions[session_id]
        store.orders.pop(session_id, None)
    return len(over)


def _lives(store: MemoryStore, session_id: str) -> bool:
    known = store.sessions.get(session_id)
    return known is not None and known.state is not SessionState.DEAD


def _is_over(session: SessionInfo, now_us: int) -> bool:
    return session.state is SessionState.DEAD and session.renewed_us + DEAD_SESSION_KEPT_US <= now_us
