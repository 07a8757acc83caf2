"""Giving back what nobody runs any more: by the name of a claim, or because a session is dead."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from django_jobs.backends.memory.records import Record
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.claim import ClaimName
from django_jobs.core.session import SessionState
from django_jobs.core.states import State
from django_jobs.exceptions import WorkerLostError
from django_jobs.ports.broker import Rescued

CAUSE = "session death"


def release(store: MemoryStore, names: Collection[ClaimName], cause: str) -> int:
    """Give back all that is left of these claims, uncharged; return how many jobs."""
    now_us = store.now_us()
    records = [record for name in names for record in store.claims.get(name, {}).values()]
    for record in records:
        store.let_go(record)
        store.append(record, cause, now_us)
        store.give_back(record, now_us)
    store.wake()
    return len(records)


def rescue(
    store: MemoryStore, timeout_seconds: float, max_crashes: int, at_most_once: frozenset[str], limit: int
) -> Rescued:
    """Declare expired sessions dead; give back at most `limit` jobs that dead or unknown sessions hold."""
    now_us = store.now_us()
    died = _declare_dead(store, now_us - round(timeout_seconds * 1_000_000))
    lost = [record for name, held in store.claims.items() if _is_lost(store, name) for record in held.values()]
    for record in lost[:limit]:
        store.let_go(record)
        store.append(record, CAUSE, now_us)
        _send_back(store, record, max_crashes, at_most_once, now_us)
    store.wake()
    return Rescued(sessions=tuple(died), jobs=len(lost[:limit]), more=len(lost) > limit)


def _declare_dead(store: MemoryStore, renewed_before_us: int) -> list[str]:
    expired = [
        session
        for session in store.sessions.values()
        if session.state is not SessionState.DEAD and session.renewed_us <= renewed_before_us
    ]
    for session in expired:
        store.sessions[session.id] = msgspec.structs.replace(session, state=SessionState.DEAD)
    return [session.id for session in expired]


def _is_lost(store: MemoryStore, name: ClaimName) -> bool:
    session = store.sessions.get(name.session)
    return session is None or session.state is SessionState.DEAD


def _send_back(store: MemoryStore, record: Record, max_crashes: int, at_most_once: frozenset[str], now_us: int) -> None:
    if record.message.task in at_most_once:
        _end_lost(store, record, State.FAILED, now_us)
        return
    record.crashes += record.suspect
    if record.suspect and record.crashes >= max_crashes:
        _end_lost(store, record, State.QUARANTINED, now_us)
        return
    record.suspect = True
    store.give_back(record, now_us)


def _end_lost(store: MemoryStore, record: Record, status: State, now_us: int) -> None:
    result = msgspec.structs.replace(
        record.as_result(status, finished_us=now_us),
        error_class=f"{WorkerLostError.__module__}.{WorkerLostError.__qualname__}",
        error_message=f"The session {record.claim.session if record.claim else ''} that ran the job has died.",
    )
    store.end(record, result, now_us)
