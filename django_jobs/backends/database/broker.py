"""The broker on the project's database: one row per live job, a narrow one while it waits, one row per claim."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

from django.db import IntegrityError

from django_jobs.backends.database import bound, gates, ledger, pauses, people, places, progress, sessions, turns, views
from django_jobs.backends.database.atomic import DatabaseAtomicRuns
from django_jobs.backends.database.connection import Connection, describe
from django_jobs.backends.database.engine import Engine, PlainEnds
from django_jobs.backends.database.engines import make_engine, shifts_us
from django_jobs.backends.database.held import Held
from django_jobs.backends.database.rows import SOON_US, chunks
from django_jobs.backends.database.wakeup import Wakeup
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.control import Order, Standing
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Kind, Outcome, StoredResult
from django_jobs.core.pause import Pause, Target
from django_jobs.core.policy import Policy
from django_jobs.core.session import SessionInfo
from django_jobs.core.states import State
from django_jobs.ports.atomic import AtomicRuns
from django_jobs.ports.broker import Broker, CancelAnswer, Exchanged, QueueStats, Renewal, Rescued, Taken

T = TypeVar("T")

CANCEL_AT_ONCE: Final = 100


class DatabaseBroker(Broker):
    """Keeps the broker's contract with one transaction per step on the DATABASE alias.

    An enqueue joins the caller's transaction on that alias. A broker over a connection of its own (`own()`) repeats
    what the database refuses for the moment: a busy SQLite without limit, deadlocks and serialization failures.
    """

    in_transaction = True

    def __init__(self, policy: Policy, *, own: bool = False) -> None:
        self.policy = policy
        self.alias = policy.database
        self._connection = Connection(policy.database, own=own)
        self._wakeup = Wakeup(self._connection, channel=policy.namespace)
        self._held = Held()
        self._swept_to = ""
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The vendor's SQL."""
        if self._engine is None:
            self._engine = make_engine(self._connection, self.policy)
            self._engine.channel = self.policy.namespace
        self._engine.shift_us = shifts_us.get(self._connection.alias, 0) if shifts_us else 0
        return self._engine

    # -- producers ---------------------------------------------------------------------------------------------

    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        if any(message.bounds is not None for message in messages):
            return [taken.is_new for taken in self._enqueue_bound(messages, raises=False)]
        if len(messages) <= SOON_US and self.engine.enqueues_in_one_statement and not any(m.id_given for m in messages):
            return self._connection.statement(lambda cursor: self.engine.enqueue(cursor, messages))

        def step(cursor: Any) -> list[bool]:
            return [new for chunk in chunks(messages, SOON_US) for new in self.engine.enqueue(cursor, chunk)]

        return self._connection.transaction(step)

    def enqueue_unique(self, messages: Sequence[Message]) -> list[Taken]:
        return self._enqueue_bound(messages, raises=True)

    def _enqueue_bound(self, messages: Sequence[Message], *, raises: bool) -> list[Taken]:
        tidies = not self._connection.joins
        return self._step(lambda cursor: bound.enqueue(self.engine, cursor, messages, raises=raises, tidies=tidies))

    def cancel(self, job_id: str, *, terminate: bool = False) -> CancelAnswer:
        return self._step(lambda cursor: people.cancel(self.engine, cursor, job_id, terminate=terminate))

    def cancel_many(self, job_ids: Sequence[str], *, terminate: bool = False) -> list[CancelAnswer]:
        answers: dict[str, CancelAnswer] = {}
        for chunk in chunks(sorted(set(job_ids)), CANCEL_AT_ONCE):  # in one order everywhere, as locks are taken

            def step(cursor: Any, some: Sequence[str] = chunk) -> dict[str, CancelAnswer]:
                return {job_id: people.cancel(self.engine, cursor, job_id, terminate=terminate) for job_id in some}

            answers.update(self._step(step))
        return [answers[job_id] for job_id in job_ids]

    def requeue(self, stored: StoredResult) -> bool:
        return self._step(lambda cursor: people.requeue(self.engine, cursor, stored))

    # -- children ----------------------------------------------------------------------------------------------

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        if want is not None and (want.limit < 1 or not want.queues):
            want = None
        ends, rest = self._held.plain(outcomes)
        stale: list[str] = []
        if rest:
            stale += self._settle(rest)
        repeated = want is not None and self._held.asked(want.name)
        if repeated and want is not None:
            claimed = self._step(lambda cursor: self.engine.claimed(cursor, want.name))
            if claimed:
                return self._finish(
                    ends, stale, self._make_claims(want, claimed, more=True, next_due_us=None), outcomes
                )
        try:
            whole, picked = self._round(ends, want)
        except IntegrityError:  # somebody has made this very claim, and the answer was lost: nothing of ours was done
            if want is None:
                raise
            claimed = self._step(lambda cursor: self.engine.claimed(cursor, want.name))
            if not claimed:
                raise
            return self._finish(ends, stale, self._make_claims(want, claimed, more=True, next_due_us=None), outcomes)
        stale += self._settle_broken(ends, whole, outcomes)
        if want is None or picked is None:
            return Exchanged(stale=tuple(stale))
        made = self._make_claims(
            want, picked.rows, more=picked.more, next_due_us=picked.next_due_us, now_us=picked.now_us
        )
        return Exchanged(claims=made.claims, stale=tuple(stale), more=made.more, next_due_seconds=made.next_due_seconds)

    def _round(self, ends: Sequence[PlainEnds], want: Want | None) -> tuple[list[str], Any]:
        if not ends and want is None:
            return [], None
        whole, picked = self.engine.exchange(self._connection, ends, want)
        self._held.settled(ends, whole)
        return whole, picked

    def _finish(
        self, ends: Sequence[PlainEnds], stale: list[str], made: Exchanged, outcomes: Sequence[Outcome]
    ) -> Exchanged:
        whole, _ = self._round(ends, None)
        stale += self._settle_broken(ends, whole, outcomes)
        return Exchanged(claims=made.claims, stale=tuple(stale), more=made.more)

    def _settle_broken(self, ends: Sequence[PlainEnds], whole: Sequence[str], outcomes: Sequence[Outcome]) -> list[str]:
        """Settle job by job what belonged to claims from which somebody else had taken a part."""
        broken = {end.name for end in ends if end.name not in whole}
        rest = [outcome for outcome in outcomes if str(outcome.name) in broken] if broken else []
        return self._settle(rest) if rest else []

    def _settle(self, outcomes: Sequence[Outcome]) -> list[str]:
        stale = self._step(lambda cursor: ledger.settle(self.engine, cursor, outcomes))
        self._held.dropped(outcomes)
        return stale

    def _make_claims(
        self, want: Want, rows: Sequence[Any], *, more: bool, next_due_us: int | None, now_us: int | None = None
    ) -> Exchanged:
        if now_us is None:
            now_us = self._step(self.engine.now_us)
        claims = self.engine.to_claims(want.name, rows, now_us)
        self._held.took(want.name, claims)
        if claims:
            self._wakeup.found_work()
        seconds = None if next_due_us is None else max(0.0, next_due_us / 1e6)
        return Exchanged(claims=tuple(claims), more=more, next_due_seconds=seconds)

    def ready_queues(self) -> list[str]:
        queues, gated = self._step(lambda cursor: places.ready_queues(self.engine, cursor), write=False)
        if gated:  # whether they may start, and in which queue, is only known once their limits were looked at
            self.engine.promote_due(self._connection)
            queues, _ = self._step(lambda cursor: places.ready_queues(self.engine, cursor), write=False)
        return queues

    def suspect_queues(self) -> list[str]:
        return self._step(places.suspect_queues, write=False)

    def wait(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None) -> None:
        self._wakeup.wait(queues, timeout_seconds, wake_fd)

    # -- keepers -----------------------------------------------------------------------------------------------

    def open_session(self, session: SessionInfo) -> None:
        self._step(lambda cursor: sessions.open_session(self.engine, cursor, session))

    def renew(self, session: SessionInfo) -> Renewal:
        return self._step(lambda cursor: sessions.renew(self.engine, cursor, session))

    def close_session(self, session_id: str) -> None:
        self._step(lambda cursor: sessions.close_session(self.engine, cursor, session_id))

    def sessions(self) -> list[SessionInfo]:
        return self._step(sessions.read_sessions, write=False)

    def give_order(self, session_id: str, order: Order) -> int:
        return self._step(lambda cursor: sessions.give_order(self.engine, cursor, session_id, order))

    def orders_of(self, session_id: str, *, after: int) -> Sequence[Standing]:
        return self._step(lambda cursor: sessions.orders_of(cursor, session_id, after), write=False)

    def release(self, names: Collection[ClaimName], *, cause: str) -> int:
        make = ledger.GiveBack(kind=Kind.RELEASED, cause=cause)
        texts = [str(name) for name in names]
        return self._step(lambda cursor: ledger.give_back(self.engine, cursor, texts, make)) if texts else 0

    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        make = ledger.GiveBack(
            kind=Kind.CRASHED, cause="session death", max_crashes=max_crashes, at_most_once=at_most_once
        )
        return self._step(
            lambda cursor: sessions.rescue(self.engine, cursor, make, timeout_seconds=timeout_seconds, limit=limit)
        )

    def mark_started(self, running: Sequence[tuple[str, int, int]]) -> list[str]:
        return self._step(lambda cursor: people.mark_started(self.engine, cursor, running)) if running else []

    def cancels_of(self, job_ids: Collection[str]) -> Mapping[str, bool]:
        ids = list(job_ids)
        return self._step(lambda cursor: people.cancels_of(cursor, ids), write=False) if ids else {}

    def set_progress(self, notes: Sequence[tuple[str, int, str]]) -> Sequence[str]:
        return self._step(lambda cursor: progress.set_progress(self.engine, cursor, notes)) if notes else []

    def progress_of(self, job_ids: Collection[str]) -> Mapping[str, str]:
        ids = list(job_ids)
        return self._step(lambda cursor: progress.progress_of(cursor, ids), write=False) if ids else {}

    def unpark(self, tasks: Collection[str]) -> int:
        return self._step(lambda cursor: places.unpark(self.engine, cursor, tasks))

    def let_in(self, *, limit: int = 100) -> int:
        limits, is_paused = self._step(gates.are_there_any, write=False)
        if is_paused:
            pauses.sweep(self._connection, lambda: self.engine)
        if not limits:
            return 0
        self._swept_to, through = self._step(lambda cursor: gates.sweep(self.engine, cursor, self._swept_to, limit))
        return through

    def sweep(self, *, limit: int = 1000) -> int:
        return self._step(
            lambda cursor: (
                sessions.sweep(self.engine, cursor, limit)
                + progress.sweep(self.engine, cursor, limit)
                + turns.sweep(self.engine, cursor, limit)
            )
        )

    # -- people ------------------------------------------------------------------------------------------------

    def pause(self, *, queue: str | None = None, task: str | None = None, by: str = "", reason: str = "") -> bool:
        target = Target.of(queue, task)
        return self._step(lambda cursor: pauses.pause(self.engine, cursor, target, by=by, reason=reason))

    def resume(self, *, queue: str | None = None, task: str | None = None) -> bool:
        return pauses.resume(self._connection, lambda: self.engine, Target.of(queue, task))

    def paused(self) -> list[Pause]:
        return self._step(pauses.paused, write=False)

    def state_of(self, job_ids: Collection[str]) -> dict[str, JobView]:
        ids = list(job_ids)
        return self._step(lambda cursor: views.state_of(self.engine, cursor, ids), write=False) if ids else {}

    def stats(self) -> list[QueueStats]:
        return self._step(lambda cursor: views.stats(self.engine, cursor), write=False)

    def list(
        self, *, queue: str | None = None, state: State | None = None, task: str | None = None,
        parked: bool | None = None, after: str = "", limit: int = 100,
    ) -> list[JobView]:  # fmt: skip
        return self._step(
            lambda cursor: views.list_jobs(
                self.engine, cursor, queue=queue, state=state, task=task, parked=parked, after=after, limit=limit
            ),
            write=False,
        )

    def describe(self) -> str:
        return describe(self._connection.wrapper)

    def while_waiting(self, call: Callable[[], None]) -> None:
        self._connection.on_wait = call

    # -- atomic jobs -------------------------------------------------------------------------------------------

    def atomic_runs(self, may_commit: Callable[[], bool]) -> AtomicRuns:
        return DatabaseAtomicRuns(self.policy, may_commit)

    def was_settled(self, outcomes: Sequence[Outcome]) -> None:
        self._held.dropped(outcomes)

    # -- connections -------------------------------------------------------------------------------------------

    def own(self) -> Self:
        return type(self)(self.policy, own=True)

    def close(self) -> None:
        self._wakeup.close()
        self._connection.close()

    def shift_clock(self, seconds: float) -> None:
        """Move this database's clock for every store of this process; for tests of what time does."""
        shifts_us[self._connection.alias] = shifts_us.get(self._connection.alias, 0) + round(seconds * 1_000_000)

    def _step(self, step: Callable[[Any], T], *, write: bool = True) -> T:
        return self._connection.transaction(step) if write else self._connection.statement(step)
