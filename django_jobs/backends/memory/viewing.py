"""What people see of the memory store: pages of live jobs, and counts."""

from __future__ import annotations

from collections.abc import Sequence

from django_jobs.backends.memory.records import Record
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.outcome import JobView
from django_jobs.core.states import State
from django_jobs.ports.broker import QueueStats


def list_jobs(
    store: MemoryStore,
    *,
    queue: str | None,
    state: State | None,
    task: str | None,
    parked: bool | None,
    after: str,
    limit: int,
) -> list[JobView]:
    """Return a page of live jobs by id."""
    with store.lock:
        now_us = store.now_us()
        views = [store.jobs[job_id].as_view(now_us) for job_id in sorted(store.jobs) if job_id > after]
    wanted = [
        view
        for view in views
        if queue in {None, view.queue}
        and state in {None, view.state}
        and task in {None, view.task}
        and parked in {None, bool(view.parked)}
    ]
    return wanted[:limit]


def stats(store: MemoryStore) -> list[QueueStats]:
    """Count the live jobs of each queue."""
    with store.lock:
        now_us = store.now_us()
        queues: dict[str, list[Record]] = {}
        for record in store.jobs.values():
            queues.setdefault(record.message.queue, []).append(record)
        return [_stats(queue, queues[queue], now_us) for queue in sorted(queues)]


def _stats(queue: str, records: Sequence[Record], now_us: int) -> QueueStats:
    states = [record.state(now_us) for record in records]
    aside = [bool(record.why_parked(now_us)) for record in records]
    parked = sum(aside)
    waiting = [
        now_us - max(record.at_us, record.enqueued_us)
        for record, state, is_aside in zip(records, states, aside, strict=True)
        if state is State.QUEUED and not is_aside
    ]
    return QueueStats(
        queue=queue,
        scheduled=states.count(State.SCHEDULED),
        queued=states.count(State.QUEUED) - parked,
        retrying=states.count(State.RETRYING),
        parked=parked,
        running=states.count(State.RUNNING),
        oldest_seconds=max([0, *waiting]) / 1_000_000,
    )
