"""The broker in memory: the rules of `ports.broker`, as plainly as they can be said."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

import msgspec

from django_jobs.backends.memory import rescue as rescuing
from django_jobs.backends.memory import settle as settling
from django_jobs.backends.memory.records import MARK_GIVEN_US, Record
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.backends.memory.uniques import Uniques
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Outcome, StoredResult
from django_jobs.core.policy import Policy
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.core.states import State
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

DEAD_SESSION_KEPT_US = 86_400_000_000


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

    def cancel(self, job_id: str) -> CancelAnswer:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            record = store.jobs.get(job_id)
            if record is None:
                return self._cancel_ended(job_id, now_us)
            if record.claim is not None:
                record.cancel_requested = True
                return CancelAnswer.REQUESTED
            store.end(record, record.as_result(State.CANCELLED, finished_us=now_us), now_us)
            return CancelAnswer.CANCELLED

    def _cancel_ended(self, job_id: str, now_us: int) -> CancelAnswer:
        result = self.store.results.get(job_id)
        if result is not None:
            return CancelAnswer.CANCELLED if result.status is State.CANCELLED else CancelAnswer.TOO_LATE
        mark = self.store.mark_of(job_id, now_us)
        if mark is None:
            self.store.mark(job_id, now_us + MARK_GIVEN_US, ended=False)
        return CancelAnswer.TOO_LATE if mark is not None and mark.ended else CancelAnswer.UNKNOWN

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
            more = want.limit > 0 and any(store.first(store.lines, queue) for queue in want.queues)
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
                suspect = store.first(store.suspects, queue)
                if suspect is not None:
                    store.take(suspect, want.name)
                    return
        left, size = want.limit, 0
        for queue in want.queues:
            while left > 0 and (record := store.first(store.lines, queue)) is not None:
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
                if store.first(store.lines, queue) or store.first(store.suspects, queue)
            ]

    def suspect_queues(self) -> list[str]:
        store = self.store
        with store.lock:
            return [queue for queue in list(store.suspects) if store.first(store.suspects, queue)]

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
        store = self.store
        with store.lock:
            known = store.sessions.get(session.id)
            if known is not None and known.state is SessionState.DEAD:
                return
            now_us = store.now_us()
            store.sessions[session.id] = msgspec.structs.replace(
                session, started_us=known.started_us if known else now_us, renewed_us=now_us
            )

    def renew(self, session: SessionInfo) -> Renewal:
        store = self.store
        with store.lock:
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

    def close_session(self, session_id: str) -> None:
        store = self.store
        with store.lock:
            known = store.sessions.get(session_id)
            if known is not None:
                store.sessions[session_id] = msgspec.structs.replace(known, state=SessionState.DEAD)

    def sessions(self) -> list[SessionInfo]:
        with self.store.lock:
            return sorted(self.store.sessions.values(), key=lambda session: (session.started_us, session.id))

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
            dead = [session.id for session in store.sessions.values() if self._is_over(session, now_us)]
            for session_id in dead[: limit - len(marks)]:
                del store.sessions[session_id]
            store.drop_overdue(now_us)
            return len(marks) + len(dead[: limit - len(marks)])

    def _is_over(self, session: SessionInfo, now_us: int) -> bool:
        return session.state is SessionState.DEAD and session.renewed_us + DEAD_SESSION_KEPT_US <= now_us

    # -- people ------------------------------------------------------------------------------------------------

    def state_of(self, job_ids: Collection[str]) -> dict[str, JobView]:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            return {job_id: store.jobs[job_id].as_view(now_us) for job_id in job_ids if job_id in store.jobs}

    def stats(self) -> list[QueueStats]:
        store = self.store
        with store.lock:
            now_us = store.now_us()
            queues: dict[str, list[Record]] = {}
            for record in store.jobs.values():
                queues.setdefault(record.message.queue, []).append(record)
            return [_stats(queue, queues[queue], now_us) for queue in sorted(queues)]

    def describe(self) -> str:
        return "memory of this process"

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
        store = self.store
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
