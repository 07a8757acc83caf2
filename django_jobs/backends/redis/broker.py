"""The broker on one Redis: one script per verb, each one atomic step, by the server's clock."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self

from django_jobs.backends.redis import bound, listing, pauses, people, sessions
from django_jobs.backends.redis.client import Client
from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.held import Exchange
from django_jobs.backends.redis.inspection import find_risks
from django_jobs.backends.redis.ledger import GiveBack, Keeping
from django_jobs.backends.redis.records import pack_message, rank, read_result, when
from django_jobs.backends.redis.scripts import (
    ENQUEUE,
    LET_IN,
    OUT,
    PROGRESS,
    RESCUE,
    STARTED,
    STRIKE,
    SWEEP,
    TICK,
    TOLD,
    UNPARK,
)  # fmt: skip
from django_jobs.backends.redis.wakeup import Wakeup, wait_for_end
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.control import Order, Standing
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Kind, Outcome, StoredResult
from django_jobs.core.pause import Pause, Target
from django_jobs.core.policy import Policy
from django_jobs.core.session import SessionInfo
from django_jobs.core.states import State
from django_jobs.exceptions import InvalidMessage
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

logger = logging.getLogger("django_jobs.broker")

DEAD_SESSION_KEPT_US: Final = 86_400_000_000
UNPARK_AT_ONCE: Final = 1000
OUT_LIMIT: Final = 10_000
"""Workers stop claiming while so many results wait to be copied into the other store."""


class RedisBroker(Broker):
    """Keeps the broker's contract over one family of keys. Claims that it has made itself it settles unread."""

    claims_at_hints = True

    def __init__(self, policy: Policy, *, out_limit: int = OUT_LIMIT) -> None:
        self.policy = policy
        self.out_limit = out_limit
        self._client = Client(policy.broker)
        self._family = Family(self._client, policy.namespace)
        self._keeping = Keeping(
            here=policy.result_store in {None, policy.broker},
            ttl_seconds=policy.result_ttl_seconds,
            failed_ttl_seconds=policy.failed_result_ttl_seconds,
        )
        self.holds_results = self._keeping.here
        self._exchange = Exchange(self._family, self._keeping, out_limit=out_limit)
        self._wakeup = Wakeup(self._family)
        self._swept_to: bytes | int = 0

    # -- producers ---------------------------------------------------------------------------------------------

    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        if not messages:
            return []
        if any(message.bounds is not None for message in messages):
            return [taken.is_new for taken in bound.enqueue(self._family, self._keeping, messages, raises=False)]
        arguments: list[Any] = []
        for message in messages:
            arguments += (
                message.id, message.queue, rank(message.priority), when(message), pack_message(message),
            )  # fmt: skip
        return [bool(new) for new in self._family.run(ENQUEUE, arguments)]

    def enqueue_unique(self, messages: Sequence[Message]) -> list[Taken]:
        return bound.enqueue(self._family, self._keeping, messages, raises=True) if messages else []

    def enqueue_tick(self, schedule: str, tick_us: int, message: Message) -> bool:
        if message.bounds is not None:
            return bound.enqueue_tick(self._family, self._keeping, schedule, tick_us, message)
        arguments = [
            schedule, tick_us, message.id, message.queue, rank(message.priority), when(message), pack_message(message),
        ]  # fmt: skip
        return bool(self._family.run(TICK, arguments))

    def cancel(self, job_id: str, *, terminate: bool = False) -> CancelAnswer:
        return people.cancel(self._family, self._keeping, job_id, terminate=terminate)

    def cancel_many(self, job_ids: Sequence[str], *, terminate: bool = False) -> list[CancelAnswer]:
        return people.cancel_many(self._family, self._keeping, job_ids, terminate=terminate) if job_ids else []

    def requeue(self, stored: StoredResult) -> bool:
        return people.requeue(self._family, self._keeping, stored)

    # -- children ----------------------------------------------------------------------------------------------

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        return self._exchange.exchange(outcomes, want)

    def ready_queues(self) -> list[str]:
        return people.ready_queues(self._family)

    def suspect_queues(self) -> list[str]:
        return people.suspect_queues(self._family)

    def wait(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None) -> None:
        self._wakeup.wait(queues, timeout_seconds, wake_fd)

    def wait_and_claim(
        self, want: Want, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None
    ) -> Exchanged | None:
        command = self._exchange.command(want)
        answer = self._wakeup.wait(queues, timeout_seconds, wake_fd, then=command)
        return None if answer is None else self._exchange.claimed(want, answer)

    # -- keepers -----------------------------------------------------------------------------------------------

    def open_session(self, session: SessionInfo) -> None:
        sessions.open_session(self._family, session)

    def renew(self, session: SessionInfo) -> Renewal:
        return sessions.renew(self._family, session)

    def close_session(self, session_id: str) -> None:
        sessions.close_session(self._family, session_id)

    def sessions(self) -> list[SessionInfo]:
        return sessions.read_sessions(self._family)

    def give_order(self, session_id: str, order: Order) -> int:
        return sessions.give_order(self._family, session_id, order)

    def orders_of(self, session_id: str, *, after: int) -> Sequence[Standing]:
        return sessions.orders_of(self._family, session_id, after)

    def release(self, names: Collection[ClaimName], *, cause: str) -> int:
        return self._exchange.give_back(names, GiveBack(kind=Kind.RELEASED, cause=cause))

    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        died, rows, _, more = self._family.run(RESCUE, [round(timeout_seconds * 1_000_000), limit])
        names = [sessions.name_of(rows[index].decode(), rows[index + 1]) for index in range(0, len(rows), 2)]
        make = GiveBack(
            kind=Kind.CRASHED, cause="session death", max_crashes=max_crashes, at_most_once=at_most_once
        )  # fmt: skip
        jobs = self._exchange.give_back(names, make)
        return Rescued(sessions=tuple(session.decode() for session in died), jobs=jobs, more=bool(more))

    def mark_started(self, running: Sequence[tuple[str, int, int]]) -> list[str]:
        arguments = [value for item in running for value in item]
        return [job_id.decode() for job_id in self._family.run(STARTED, arguments)] if running else []

    def cancels_of(self, job_ids: Collection[str]) -> Mapping[str, bool]:
        return people.cancels_of(self._family, list(job_ids)) if job_ids else {}

    def set_progress(self, notes: Sequence[tuple[str, int, str]]) -> Sequence[str]:
        arguments = [PROGRESS_KEPT_SECONDS, *(value for note in notes for value in note)]
        return [job_id.decode() for job_id in self._family.run(PROGRESS, arguments)] if notes else []

    def progress_of(self, job_ids: Collection[str]) -> Mapping[str, str]:
        ids = list(job_ids)
        told = self._family.run(TOLD, ids) if ids else ()
        return {job_id: text.decode() for job_id, text in zip(ids, told, strict=True) if text is not None}

    def unpark(self, tasks: Collection[str]) -> int:
        total = 0
        while tasks and (moved := self._family.run(UNPARK, sorted(tasks))):
            total += moved
            if moved < UNPARK_AT_ONCE:
                break
        return total

    def let_in(self, *, limit: int = 100) -> int:
        self._swept_to, through = self._family.run(LET_IN, [self._swept_to, limit])
        return int(through)

    def sweep(self, *, limit: int = 1000) -> int:
        return int(self._family.run(SWEEP, [limit, DEAD_SESSION_KEPT_US]))

    # -- people ------------------------------------------------------------------------------------------------

    def pause(self, *, queue: str | None = None, task: str | None = None, by: str = "", reason: str = "") -> bool:
        return pauses.pause(self._family, Target.of(queue, task), by=by, reason=reason)

    def resume(self, *, queue: str | None = None, task: str | None = None) -> bool:
        return pauses.resume(self._family, Target.of(queue, task))

    def paused(self) -> list[Pause]:
        return pauses.paused(self._family)

    def state_of(self, job_ids: Collection[str]) -> dict[str, JobView]:
        return people.state_of(self._family, job_ids) if job_ids else {}

    def stats(self) -> list[QueueStats]:
        return people.stats(self._family)

    def list(
        self, *, queue: str | None = None, state: State | None = None, task: str | None = None,
        parked: bool | None = None, after: str = "", limit: int = 100,
    ) -> list[JobView]:  # fmt: skip
        return listing.list_jobs(
            self._family, queue=queue, state=state, task=task, parked=parked, after=after, limit=limit
        )

    def describe(self) -> str:
        return f"{self._client.place} ({self.policy.namespace})"

    def risks(self) -> dict[str, str]:
        return find_risks(self._client)

    # -- the out-list ------------------------------------------------------------------------------------------

    def leaving(self, limit: int) -> Sequence[StoredResult]:
        return _read_leaving(self._family.run(OUT, [limit]))

    def leaving_of(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        if self.holds_results or not job_ids:
            return {}
        return {stored.id: stored for stored in _read_leaving(self._family.run(OUT, [0, *job_ids]))}

    def strike(self, results: Sequence[StoredResult]) -> int:
        arguments = [value for stored in results for value in (stored.id, stored.attempt)]
        return int(self._family.run(STRIKE, arguments)) if arguments else 0

    def wait_for_end(self, job_ids: Collection[str], timeout_seconds: float) -> bool:
        wait_for_end(self._family, job_ids, timeout_seconds)
        return True

    # -- connections -------------------------------------------------------------------------------------------

    def own(self) -> Self:
        return type(self)(self.policy, out_limit=self.out_limit)

    def close(self) -> None:
        self._wakeup.close()
        self._client.close()

    def shift_clock(self, seconds: float) -> None:
        """Move the clock for every store of this process; for tests of what time does."""
        self._family.shift_clock(seconds)


def _read_leaving(rows: Sequence[bytes]) -> list[StoredResult]:
    found: list[StoredResult] = []
    for index in range(0, len(rows), 2):
        try:
            found.append(read_result(rows[index].decode(), rows[index + 1]))
        except InvalidMessage as error:
            logger.error("%s It stays on the out-list until somebody deletes it there.", error)
    return found
