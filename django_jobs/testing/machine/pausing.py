"""Rules of the state machine for pauses of queues and tasks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from django_jobs.core.pause import Target
from django_jobs.testing.machine.calls import QUEUES, TASKS
from django_jobs.testing.machine.state import MachineState

targets = st.sampled_from([*(Target("queue", name) for name in QUEUES), *(Target("task", name) for name in TASKS)])


class PausingRules(MachineState):
    """People who pause, and forget that they did."""

    @rule(what=targets, again=st.booleans())
    def pause(self, what: Target, again: bool) -> None:
        assert self.people.pause(**{what.kind: what.name}) is self.model.pause(what)
        if again:
            assert self.people.pause(**{what.kind: what.name}) is False

    @precondition(lambda self: self.model.paused)
    @rule(data=st.data(), again=st.booleans())
    def resume(self, data: st.DataObject, again: bool) -> None:
        what = data.draw(st.sampled_from(sorted(self.model.paused)))
        assert self.people.resume(**{what.kind: what.name}) is self.model.resume(what)
        if again:
            assert self.people.resume(**{what.kind: what.name}) is False

    @precondition(lambda self: self.model.paused)
    @rule()
    def resume_all(self) -> None:
        """Else most of a long run would be paused."""
        for what in sorted(self.model.paused):
            assert self.people.resume(**{what.kind: what.name}) is self.model.resume(what)
