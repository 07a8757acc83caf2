"""Cancelling one job of the memory store, in each of its states. The caller holds the store's lock."""

from __future__ import annotations

from collections.abc import Collection

from django_jobs.backends.memory.records import MARK_GIVEN_US
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.states import State
from django_jobs.ports.broker import CancelAnswer


def cancel(store: MemoryStore, job_id: str, *, terminate: bool) -> CancelAnswer:
    """End a waiting job, flag a claimed one, mark an unknown id."""
    now_us = store.now_us()
    record = store.jobs.get(job_id)
    if record is None:
        return _cancel_ended(store, job_id, now_us)
    if record.claim is not None:
        record.cancel_requested = True
        record.terminate_requested |= terminate
        return CancelAnswer.REQUESTED
    store.end(record, record.as_result(State.CANCELLED, finished_us=now_us), now_us)
    return CancelAnswer.CANCELLED


def cancels_of(store: MemoryStore, job_ids: Collection[str]) -> dict[str, bool]:
    """Return the claimed jobs whose cancel is requested; True for one that is to be terminated."""
    records = [store.jobs[job_id] for job_id in job_ids if job_id in store.jobs]
    return {
        record.message.id: record.terminate_requested
        for record in records
        if record.cancel_requested and record.claim is not None
    }


def _cancel_ended(store: MemoryStore, job_id: str, now_us: int) -> CancelAnswer:
    result = store.results.get(job_id)
    if result is not None:
        return CancelAnswer.CANCELLED if result.status is State.CANCELLED else CancelAnswer.TOO_LATE
    mark = store.mark_of(job_id, now_us)
    if mark is None:
        store.mark(job_id, now_us + MARK_GIVEN_US, ended=False)
    return CancelAnswer.TOO_LATE if mark is not None and mark.ended else CancelAnswer.UNKNOWN
