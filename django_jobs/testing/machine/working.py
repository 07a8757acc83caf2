"""Rules of the state machine for children: claiming and settling, with answers that are lost or asked for again."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from django_jobs.core.claim import Want
from django_jobs.core.outcome import Outcome
from django_jobs.testing.machine import calls
from django_jobs.testing.machine.state import MachineState, Seat

DAY_SECONDS: Final = 86_400
MANY: Final[dict[str, Any]] = {"limit": 5, "suspects": False}

seats = st.integers(0, 3)
fates = st.sampled_from(["answered", "answered", "repeated", "lost"])


class WorkingRules(MachineState):
    """Children. Most of what happens is theirs, so they have several rules for it."""

    @rule(seat=seats, fields=calls.want_fields, fate=fates)
    def claim(self, seat: int, fields: dict[str, Any], fate: str) -> None:
        self._exchange(self.seats[seat], [], fields, fate)

    @rule(seat=seats, fields=calls.want_fields)
    def claim_many(self, seat: int, fields: dict[str, Any]) -> None:
        self._exchange(self.seats[seat], [], {**fields, **MANY}, "answered")

    @rule(data=st.data(), seat=seats, fields=calls.want_fields, fate=fates)
    def exchange(self, data: st.DataObject, seat: int, fields: dict[str, Any], fate: str) -> None:
        outcomes = data.draw(calls.outcomes(self.current(), self.past))
        self._exchange(self.seats[seat], outcomes, fields, fate)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), seat=seats, again=st.booleans())
    def settle(self, data: st.DataObject, seat: int, again: bool) -> None:
        outcomes = data.draw(calls.outcomes(self.current(), self.past))
        broker = self.seats[seat].broker
        stale = self.model.settle(outcomes)
        assert sorted(broker.exchange(outcomes, None).stale) == sorted(stale)
        if again:
            assert len(broker.exchange(outcomes, None).stale) == len(outcomes)

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def mark_started(self, data: st.DataObject) -> None:
        fences = data.draw(st.lists(st.sampled_from(self.past), max_size=3, unique_by=lambda fence: fence.id))
        current = self.current()
        flagged = {fence.id for fence in fences if fence in current and self.model.jobs[fence.id].flagged}
        assert self.people.cancels_of([fence.id for fence in fences if fence in current]) == {
            job_id: self.model.jobs[job_id].doomed for job_id in flagged
        }
        assert set(self.people.mark_started([(fence.id, fence.attempt, 1_000_000) for fence in fences])) == flagged

    def _exchange(self, seat: Seat, outcomes: list[Outcome], fields: dict[str, Any], fate: str) -> None:
        if seat.lost is not None:
            self._repeat_lost(seat)
        life = self.model.lives[self.sessions[seat.worker]]
        if not life.alive and self.model.now - life.renewed >= DAY_SECONDS:
            self.open_session(seat.worker)  # a store may forget its dead after a day: they would be unknown then
        want = Want(name=seat.next_name(self.sessions[seat.worker]), **fields)
        stale = self.model.settle(outcomes)
        answer = seat.broker.exchange(outcomes, want)
        self.compare_claimed(want, [claim.message.id for claim in answer.claims])
        if fate == "lost":
            seat.lost = (outcomes, want)
        else:
            assert sorted(answer.stale) == sorted(stale)
            self.take(answer, want)
        if fate == "repeated" and answer.claims:
            self.compare_repeated(seat.broker.exchange(outcomes, want), outcomes, want)
        if not self.model.lives[want.name.session].alive:
            self.open_session(seat.worker)

    def _repeat_lost(self, seat: Seat) -> None:
        assert seat.lost is not None
        outcomes, want = seat.lost
        seat.lost = None
        if self.model.held(want.name):
            answer = seat.broker.exchange(outcomes, want)
            self.compare_repeated(answer, outcomes, want)
            self.take(answer, want)
