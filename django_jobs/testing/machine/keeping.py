"""Rules of the state machine for keepers: sessions, rescues, releases, sweeps, and the time that passes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from django_jobs.core.claim import ClaimName
from django_jobs.ports.broker import Rescued
from django_jobs.testing.child import make_session
from django_jobs.testing.machine import calls
from django_jobs.testing.machine.calls import STEP_SECONDS, TASKS
from django_jobs.testing.machine.state import MachineState

workers = st.integers(0, 1)


class KeepingRules(MachineState):
    """Keepers and the clock."""

    @rule(steps=st.sampled_from([1, 1, 2, 3, 3, 900]), renewing=st.sampled_from(["both", "one", "none"]))
    def advance(self, steps: int, renewing: str) -> None:
        self.store.advance(steps * STEP_SECONDS)
        self.model.now += steps * STEP_SECONDS
        for worker in range({"both": 2, "one": 1, "none": 0}[renewing]):
            self._renew(worker)

    @rule(worker=workers)
    def renew(self, worker: int) -> None:
        self._renew(worker)

    def _renew(self, worker: int) -> None:
        session = self.sessions[worker]
        alive = self.model.renew(session)
        answer = self.people.renew(make_session(session))
        assert answer.alive is alive
        if alive:
            held = {job.claim for job in self.model.jobs.values() if job.claim and job.claim.session == session}
            assert set(answer.held) == held

    @rule(again=st.booleans())
    def rescue(self, again: bool) -> None:
        died, jobs = self.model.rescue(
            timeout_seconds=calls.TIMEOUT_SECONDS, max_crashes=calls.MAX_CRASHES, at_most_once=calls.AT_MOST_ONCE
        )
        answer = self._rescue()
        assert (set(answer.sessions), answer.jobs) == (died, jobs)
        if again:
            assert self._rescue() == Rescued()

    def _rescue(self) -> Rescued:
        return self.people.rescue(
            timeout_seconds=calls.TIMEOUT_SECONDS, max_crashes=calls.MAX_CRASHES, at_most_once=[calls.AT_MOST_ONCE]
        )

    @precondition(lambda self: any(job.claim for job in self.model.jobs.values()))
    @rule(worker=workers)
    def close_session(self, worker: int) -> None:
        """A worker stops and another takes its place; what the first one held is rescued later."""
        self.people.close_session(self.sessions[worker])
        self.model.close(self.sessions[worker])
        self.open_session(worker)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), again=st.booleans())
    def release(self, data: st.DataObject, again: bool) -> None:
        names = sorted({fence.name for fence in self.current() or self.past})
        self._release(data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True)), again)

    @precondition(lambda self: any(seat.lost for seat in self.seats))
    @rule(again=st.booleans())
    def release_lost(self, again: bool) -> None:
        """Claims that no child published are given back by their names."""
        names = [seat.lost[1].name for seat in self.seats if seat.lost]
        for seat in self.seats:
            seat.lost = None
        self._release(names, again)

    def _release(self, names: list[ClaimName], again: bool) -> None:
        assert self.people.release(names, cause="forgotten") == self.model.release(names)
        if again:
            assert self.people.release(names, cause="forgotten") == 0

    @precondition(lambda self: any(job.parked for job in self.model.jobs.values()))
    @rule(tasks=st.lists(st.sampled_from(TASKS), unique=True))
    def unpark(self, tasks: list[str]) -> None:
        assert self.people.unpark(tasks) == self.model.unpark(tasks)
        assert self.people.unpark(tasks) == 0

    @precondition(lambda self: self.model.ended)
    @rule()
    def sweep(self) -> None:
        """What a sweep drops, nobody can see."""
        self.people.sweep()
