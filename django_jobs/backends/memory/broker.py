"""The broker in memory: the rules of `ports.broker`, as plainly as they can be said."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from django.db import DEFAULT_DB_ALIAS

from django_jobs.backends.memory import cancels as cancelling
from django_jobs.backends.memory import rescue as rescuing
from django_jobs.backends.memory import sessions, viewing
from django_jobs.backends.memory import settle as settling
from django_jobs.backends.memory.atomic import MemoryAtomicRuns
from django_jobs.backends.memory.records import Record
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.backends.memory.uniques import Uniques
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.control import Order, Standing
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Outcome, StoredResult
from django_jobs.core.pause import Pause, Target
from django_jobs.core.policy import Policy
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.core.states import State
from django_jobs.ports.atomic import AtomicRuns
from django_jobs.ports.broker import (
    PROGRESS_KEPT_SECONDS,
    Broker,
    CancelAnswer,
    Exchanged,
    QueueStats,
    Renewal,
    Rescued,
    Taken,
)


class MemoryBroker(Broker):
    """Holds jobs in this process only: another process never sees them, and they end with it.

    Brokers over one `store` are what several processes over one database are. Without a store, those of one policy
    share the store of its namespace.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        store: MemoryStore | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._alias = policy.database if policy else DEFAULT_DB_ALIAS
        self.store = store or (MemoryStore.named(policy.namespace) if policy and not clock else MemoryStore(clock))

    def shift_clock(self, seconds: float) -> None:
        """Move the store's clock (for tests)."""
        self.store.shift_clock(seconds)

    # -- producers ---------------------------------------------------------------------------------------------

    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        store = self.store
        with store.lock:
            taken = Uniques(store).enqueue(messages, store.now_us(), raises=False)
            store.wake()
        return [answer.is_new for answer in taken]

    def enqueue_unique(self, messages: Sequence[Message]) -> list[Taken]:
        store = self.store
        with store.lock:
            taken = Uniques(store).enqueue(messages, store.now_us(), raises=True)
            store.wake()
        return taken

    def enqueue_tick(self, schedule: str, tick_us: int, message: Message) -> bool:
        store = self.store
        with store.lock:
            if store.ticks.get(schedule, tick_us - 1) >= tick_us:
                return False
            store.ticks[schedule] = tick_us
            return self.enqueue_many([message])[0]

    def cancel(self, job_id: str, *, terminate: bool = False) -> CancelAnswer:
        with self.store.lock:
            return cancelling.cancel(self.store, job_id, terminate=terminate)

    def requeue(self, stored: StoredResult) -> bool:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            known = store.results.get(stored.id)
            if known is None or stored.id in store.jobs:
                return False
            if (known.status, known.attempt) != (stored.status, stored.attempt):
                return False
            bounds = bounds_of(known.body)
            if bounds and bounds.unique and not Uniques(store).may_start_again(bounds.unique, known.id, now_us):
                return False
            del store.results[stored.id]
            store.marks.pop(stored.id, None)
            self._start_again(known, now_us)
            store.wake()
            return True

    def _start_again(self, known: StoredResult, now_us: int) -> None:
        message = Message(
            id=known.id,
            task=known.task,
            queue=known.queue,
            body=known.body,
            priority=known.priority,
            id_given=known.id_given,
            bounds=bounds_of(known.body),
        )
        record = Record(
            message=message,
            enqueued_us=now_us,
            at_us=now_us,
            number=self.store.next_number(),
            expires_us=None,
            size=len(message.body.encode()),
            attempt=known.attempt,
            attempts=known.attempts,
        )
        self.store.jobs[known.id] = record
        self.store.enter(record, now_us)

    # -- children ----------------------------------------------------------------------------------------------

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            stale = tuple([outcome.id for outcome in outcomes if not settling.settle(store, outcome, now_us)])
            if outcomes:
                store.wake()
            if want is None:
                return Exchanged(stale=stale)
            store.promote(now_us)
            claims = self._claim(want, now_us)
            more = want.limit > 0 and any(store.claimable(store.lines, queue) for queue in want.queues)
            return Exchanged(claims=claims, stale=stale, more=more, next_due_seconds=store.next_due_seconds(now_us))

    def _claim(self, want: Want, now_us: int) -> tuple[Claim, ...]:
        store = self.store
        session = store.sessions.get(want.name.session)
        if want.limit < 1 or (session is not None and session.state is SessionState.DEAD):
            return ()
        held = store.claims.get(want.name)
        if held is None:
            self._choose(want)
            held = store.claims.get(want.name, {})
        return tuple([record.as_claim(want.name, now_us) for record in held.values()])

    def _choose(self, want: Want) -> None:
        store = self.store
        if want.suspects:
            for queue in want.queues:
                suspect = store.claimable(store.suspects, queue)
                if suspect is not None:
                    store.take(suspect, want.name)
                    return
        left, size = want.limit, 0
        for queue in want.queues:
            while left > 0 and (record := store.claimable(store.lines, queue)) is not None:
                size += record.size
                if size > want.max_bytes and left < want.limit:
                    return
                store.take(record, want.name)
                left -= 1

    def ready_queues(self) -> list[str]:
        store = self.store
        with store.lock:
            store.promote(store.now_us())
            return [
                queue
                for queue in {**store.lines, **store.suspects}
                if store.claimable(store.lines, queue) or store.claimable(store.suspects, queue)
            ]

    def suspect_queues(self) -> list[str]:
        store = self.store
        with store.lock:
            return [queue for queue in list(store.suspects) if store.claimable(store.suspects, queue)]

    def wait(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None) -> None:
        store = self.store
        with store.waker() as woken, selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            if wake_fd is not None:
                selector.register(wake_fd, selectors.EVENT_READ)
            with store.lock:
                if store.has_ready(queues):
                    return
                due_seconds = store.next_due_seconds(store.now_us())
            selector.select(timeout_seconds if due_seconds is None else min(timeout_seconds, due_seconds))

    # -- keepers -----------------------------------------------------------------------------------------------

    def open_session(self, session: SessionInfo) -> None:
        with self.store.lock:
            sessions.open_session(self.store, session)

    def renew(self, session: SessionInfo) -> Renewal:
        with self.store.lock:
            return sessions.renew(self.store, session)

    def close_session(self, session_id: str) -> None:
        with self.store.lock:
            sessions.close_session(self.store, session_id)

    def sessions(self) -> list[SessionInfo]:
        with self.store.lock:
            return sorted(self.store.sessions.values(), key=lambda session: (session.started_us, session.id))

    def give_order(self, session_id: str, order: Order) -> int:
        with self.store.lock:
            return sessions.give_order(self.store, session_id, order)

    def orders_of(self, session_id: str, *, after: int) -> Sequence[Standing]:
        with self.store.lock:
            return sessions.orders_of(self.store, session_id, after)

    def release(self, names: Collection[ClaimName], *, cause: str) -> int:
        with self.store.lock:
            return rescuing.release(self.store, names, cause)

    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        with self.store.lock:
            return rescuing.rescue(self.store, timeout_seconds, max_crashes, frozenset(at_most_once), limit)

    def mark_started(self, running: Sequence[tuple[str, int, int]]) -> list[str]:
        flagged: list[str] = []
        with self.store.lock:
            for job_id, attempt, started_us in running:
                record = self.store.jobs.get(job_id)
                if record is None or record.claim is None or record.attempt != attempt:
                    continue
                record.started_us = started_us
                if record.cancel_requested:
                    flagged.append(job_id)
        return flagged

    def cancels_of(self, job_ids: Collection[str]) -> Mapping[str, bool]:
        with self.store.lock:
            return cancelling.cancels_of(self.store, job_ids)

    def set_progress(self, notes: Sequence[tuple[str, int, str]]) -> Sequence[str]:
        kept = []
        with self.store.lock:
            until_us = self.store.now_us() + PROGRESS_KEPT_SECONDS * 1_000_000
            for job_id, attempt, text in notes:
                record = self.store.jobs.get(job_id)
                if record is not None and record.claim is not None and record.attempt == attempt:
                    self.store.progress[job_id] = text, until_us
                    kept.append(job_id)
        return kept

    def progress_of(self, job_ids: Collection[str]) -> Mapping[str, str]:
        with self.store.lock:
            now_us = self.store.now_us()
            said = {job_id: self.store.progress.get(job_id) for job_id in job_ids}
            return {job_id: item[0] for job_id, item in said.items() if item is not None and item[1] > now_us}

    def unpark(self, tasks: Collection[str]) -> int:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            names = frozenset(tasks)
            parked = [record for record in store.jobs.values() if record.parked and record.message.task in names]
            for record in parked:
                record.parked = False
                store.place(record, now_us)
            store.wake()
            return len(parked)

    def let_in(self, *, limit: int = 100) -> int:
        store = self.store
        with store.lock:
            before = store.gates.through()
            store.promote(store.now_us())
            store.wake()
            return max(0, store.gates.through() - before)

    def sweep(self, *, limit: int = 1000) -> int:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            marks = [job_id for job_id, mark in store.marks.items() if mark.until_us <= now_us][:limit]
            for job_id in marks:
                del store.marks[job_id]
            dropped = sessions.sweep(store, now_us, limit - len(marks))
            store.drop_overdue(now_us)
            return len(marks) + dropped

    # -- people ------------------------------------------------------------------------------------------------

    def pause(self, *, queue: str | None = None, task: str | None = None, by: str = "", reason: str = "") -> bool:
        with self.store.lock:
            return self.store.pauses.pause(Target.of(queue, task), by=by, reason=reason)

    def resume(self, *, queue: str | None = None, task: str | None = None) -> bool:
        with self.store.lock:
            return self.store.pauses.resume(Target.of(queue, task))

    def paused(self) -> Sequence[Pause]:
        with self.store.lock:
            return self.store.pauses.all()

    def state_of(self, job_ids: Collection[str]) -> dict[str, JobView]:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            return {job_id: store.jobs[job_id].as_view(now_us) for job_id in job_ids if job_id in store.jobs}

    def stats(self) -> list[QueueStats]:
        return viewing.stats(self.store)

    def describe(self) -> str:
        return "memory of this process"

    # -- atomic jobs -------------------------------------------------------------------------------------------

    def atomic_runs(self, may_commit: Callable[[], bool]) -> AtomicRuns:
        return MemoryAtomicRuns(self._alias, lambda outcome: not self.exchange([outcome], None).stale)

    # -- connections -------------------------------------------------------------------------------------------

    def own(self) -> Self:
        return type(self)(store=self.store)

    def close(self) -> None:
        """Nothing is connected."""

    def list(
        self,
        *,
        queue: str | None = None,
        state: State | None = None,
        task: str | None = None,
        parked: bool | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[JobView]:
        return viewing.list_jobs(
            self.store, queue=queue, state=state, task=task, parked=parked, after=after, limit=limit
        )
