"""The state machine finds brokers that break a promise: each of these breaks one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from django_jobs.backends.memory import MemoryBroker
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.pause import Pauses
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.ports.broker import CancelAnswer, Exchanged, Renewal, Rescued
from django_jobs.testing.machine import BrokerMachine
from tests.backends.test_memory import MemoryHarness


class SettlesAnything(MemoryBroker):
    """The fence is not compared."""

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        jobs = self.store.jobs
        forged = [
            msgspec.structs.replace(outcome, name=jobs[outcome.id].claim, attempt=jobs[outcome.id].attempt)
            if outcome.id in jobs and jobs[outcome.id].claim
            else outcome
            for outcome in outcomes
        ]
        return super().exchange(forged, want)


class ClaimsAnew(MemoryBroker):
    """A repeated claim takes other jobs."""

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        if want is not None and want.name in self.store.claims:
            want = msgspec.structs.replace(want, name=want.name._replace(child=want.name.child + 10))
        return super().exchange(outcomes, want)


class ForgetsIds(MemoryBroker):
    """An ended id can be used at once."""

    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        self.store.marks.clear()
        return super().enqueue_many(messages)


class TakesHalf(MemoryBroker):
    """A batch with an id that is known is taken in up to it."""

    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        answers = []
        for message in messages:
            answers += super().enqueue_many([message])
            if not answers[-1]:
                break
        return answers + [False] * (len(messages) - len(answers))


class IgnoresFlags(MemoryBroker):
    """A cancel of a claimed job is answered, not kept."""

    def cancel(self, job_id: str, *, terminate: bool = False) -> CancelAnswer:
        record = self.store.jobs.get(job_id)
        if record is not None and record.claim is not None:
            return CancelAnswer.REQUESTED
        return super().cancel(job_id, terminate=terminate)


class LosesPlaces(MemoryBroker):
    """What is released goes to the end of its line."""

    def release(self, names: Collection[ClaimName], *, cause: str) -> int:
        for name in names:
            for record in self.store.claims.get(name, {}).values():
                record.number = self.store.next_number()
        return super().release(names, cause=cause)


class ChargesReleases(MemoryBroker):
    """What did not run counts as a failure."""

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        charged = [
            msgspec.structs.replace(outcome, kind=Kind.RETRYING, delay_seconds=0)
            if outcome.kind is Kind.RELEASED
            else outcome
            for outcome in outcomes
        ]
        return super().exchange(charged, want)


class KillsTheLiving(MemoryBroker):
    """A session that was renewed in time is declared dead."""

    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        return super().rescue(
            timeout_seconds=timeout_seconds / 3, max_crashes=max_crashes, at_most_once=at_most_once, limit=limit
        )


class WakesTheDead(MemoryBroker):
    """A dead session that renews lives again."""

    def renew(self, session: SessionInfo) -> Renewal:
        known = self.store.sessions[session.id]
        self.store.sessions[session.id] = msgspec.structs.replace(known, state=SessionState.ALIVE)
        return super().renew(session)


class SparesSuspects(MemoryBroker):
    """Jobs of the dead go back as if nothing had happened."""

    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        answer = super().rescue(
            timeout_seconds=timeout_seconds, max_crashes=max_crashes, at_most_once=at_most_once, limit=limit
        )
        for record in self.store.jobs.values():
            if record.suspect and record.claim is None:
                record.suspect = False
                self.store.place(record, self.store.now_us())
        return answer


class ForgetsPauses(MemoryBroker):
    """A task's pause is shown, and jobs of it are claimed all the same."""

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        pauses = self.store.pauses
        shown, pauses._now = pauses._now, Pauses(pause for pause in pauses.all() if pause.kind == "queue")
        try:
            return super().exchange(outcomes, want)
        finally:
            pauses._now = shown


class KeepsAside(MemoryBroker):
    """A resume forgets what the pause has put aside."""

    def resume(self, *, queue: str | None = None, task: str | None = None) -> bool:
        aside = [record for record in self.store.jobs.values() if record.aside]
        was = super().resume(queue=queue, task=task)
        for record in aside:
            record.aside = True
        return was


BROKEN = [
    SettlesAnything,
    ClaimsAnew,
    ForgetsIds,
    TakesHalf,
    IgnoresFlags,
    LosesPlaces,
    ChargesReleases,
    KillsTheLiving,
    WakesTheDead,
    SparesSuspects,
    ForgetsPauses,
    KeepsAside,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_promise_is_found(broken: type[MemoryBroker]) -> None:
    class Harness(MemoryHarness):
        def broker(self) -> MemoryBroker:
            return broken(store=self.memory)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            BrokerMachine.over(Harness),
            settings=settings(
                max_examples=400, stateful_step_count=40, phases=[Phase.generate], report_multiple_bugs=False
            ),
        )
