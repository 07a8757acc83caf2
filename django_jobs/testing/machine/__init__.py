"""A Hypothesis state machine over the broker's contract: any sequence of calls, each compared with the model.

    def test_machine():
        run_state_machine_as_test(BrokerMachine.over(OurHarness), settings=settings(max_examples=100))

Two workers with two children each, every one over a broker of its own, call whatever the port allows: with current
fences and stale ones, repeating calls verbatim and losing answers. The clock moves in steps of 100 s only, so that the
real time of a call decides nothing.
"""

from __future__ import annotations

import time
from typing import Final

from hypothesis.stateful import invariant

from django_jobs.core.claim import Want
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.states import RETRIABLE
from django_jobs.testing.child import make_session
from django_jobs.testing.machine.calls import QUEUES, STEP_SECONDS, TASKS
from django_jobs.testing.machine.inspection import compare
from django_jobs.testing.machine.keeping import KeepingRules
from django_jobs.testing.machine.pausing import PausingRules
from django_jobs.testing.machine.producing import ProducingRules
from django_jobs.testing.machine.state import PAST_LIMIT, Seat
from django_jobs.testing.machine.working import WorkingRules

DRAIN_SECONDS: Final = 30
LAST_SESSION: Final = "session-of-the-end"


class BrokerMachine(ProducingRules, WorkingRules, KeepingRules, PausingRules):
    """All rules together; after each call all that can be seen is compared, and in the end everything comes out."""

    @invariant()
    def shows_what_the_model_holds(self) -> None:
        for stored in compare(self.model, self.people, self.results, sorted(self.seen)):
            if stored.status in RETRIABLE and stored not in self.stored:
                self.stored.append(stored)
        del self.stored[:-PAST_LIMIT]

    def teardown(self) -> None:
        try:
            self._drain()
        finally:
            self.store.close()

    def _drain(self) -> None:
        """Every live job comes out and ends, and nothing is left behind."""
        if self.model.paused:
            self.resume_all()
        self.advance(steps=1000, renewing="none")
        self.rescue(again=True)
        self.unpark(list(TASKS))
        broker = self.store.broker()
        broker.open_session(make_session(LAST_SESSION))
        self.model.open(LAST_SESSION)
        seat = Seat(broker, worker=-1, child=0)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.model.jobs and time.monotonic() < deadline:
            if not self._drain_some(seat):
                broker.wait(QUEUES, 0.05)
        assert self.model.jobs == {}, "a live job was never given"
        self.shows_what_the_model_holds()
        self.advance(steps=1000, renewing="none")
        while self.people.sweep():
            pass
        assert self.store.leftovers() in {0, None}

    def _drain_some(self, seat: Seat) -> bool:
        want = Want(name=seat.next_name(LAST_SESSION), queues=QUEUES, limit=1, suspects=True)
        answer = seat.broker.exchange([], want)
        self.compare_claimed(want, [claim.message.id for claim in answer.claims])
        self.take(answer, want)
        outcomes = [
            Outcome(id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=Kind.SUCCEEDED, keep=False)
            for claim in answer.claims
        ]
        assert seat.broker.exchange(outcomes, None).stale == ()
        assert self.model.settle(outcomes) == []
        return bool(answer.claims)


__all__ = ["STEP_SECONDS", "BrokerMachine"]
