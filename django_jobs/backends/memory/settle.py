"""What follows from an outcome: the one step that ends a job, sends it back, or parks it."""

from __future__ import annotations

import msgspec

from django_jobs.backends.memory.records import Record
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core import attempts
from django_jobs.core.outcome import FINAL, Kind, Outcome, StoredResult
from django_jobs.core.states import State


def settle(store: MemoryStore, outcome: Outcome, now_us: int) -> bool:
    """Apply one outcome; False where its fence is stale, and then nothing has changed."""
    record = store.jobs.get(outcome.id)
    if record is None or record.claim != outcome.name or record.attempt != outcome.attempt:
        return False
    store.let_go(record)
    if outcome.started_us is not None:
        record.started_us = outcome.started_us
    if outcome.record is not None:
        record.attempts = attempts.append(record.attempts, outcome.record)
    state = FINAL.get(outcome.kind)
    if state is not None:
        record.failures += state is State.FAILED
        kept = outcome.keep or state is not State.SUCCEEDED
        store.end(record, _result(record, state, outcome, now_us) if kept else None, now_us)
    elif outcome.kind is Kind.CRASHED:
        _crashed(store, record, outcome, now_us)
    else:
        _return(store, record, outcome, now_us)
    return True


def _result(record: Record, status: State, outcome: Outcome, now_us: int) -> StoredResult:
    error = outcome.error
    finished_us = now_us if outcome.finished_us is None else outcome.finished_us
    return msgspec.structs.replace(
        record.as_result(status, finished_us=finished_us),
        result=outcome.result,
        error_class=error.error_class if error else "",
        error_message=error.message if error else "",
        traceback=error.traceback if error else "",
        worker=outcome.worker,
    )


def _crashed(store: MemoryStore, record: Record, outcome: Outcome, now_us: int) -> None:
    charged = outcome.charged or record.suspect
    record.suspect = True
    record.crashes += charged
    if charged and 0 < outcome.max_crashes <= record.crashes:
        store.end(record, _result(record, State.QUARANTINED, outcome, now_us), now_us)
    else:
        store.give_back(record, now_us)


def _return(store: MemoryStore, record: Record, outcome: Outcome, now_us: int) -> None:
    if outcome.kind in {Kind.RETRYING, Kind.SNOOZED}:
        record.failures += outcome.kind is Kind.RETRYING
        record.crashes = 0
        record.suspect = False
        delay_us = max(0, round(outcome.delay_seconds * 1_000_000))
        if delay_us or not record.has_turn:  # at once, a turn stays its own
            record.has_turn = False
            record.at_us = now_us + delay_us
            record.number = store.next_number()
    elif outcome.kind is Kind.UNKNOWN_TASK:
        record.parked = True
    store.give_back(record, now_us)
