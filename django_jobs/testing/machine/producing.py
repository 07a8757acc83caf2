"""Rules of the state machine for who enqueues, cancels, starts again and forgets."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from django_jobs.core.message import Message
from django_jobs.ports.broker import CancelAnswer
from django_jobs.testing.machine import calls
from django_jobs.testing.machine.calls import QUEUES, TASKS
from django_jobs.testing.machine.state import MachineState


class ProducingRules(MachineState):
    """Producers and people."""

    @initialize(fields=st.lists(calls.message_fields, min_size=3, max_size=8))
    def begin(self, fields: list[dict[str, Any]]) -> None:
        for worker in range(2):
            self.open_session(worker)
        self._enqueue(self._new(fields), again=False)

    @rule(data=st.data(), fields=st.lists(calls.message_fields, min_size=1, max_size=5), again=st.booleans())
    def enqueue(self, data: st.DataObject, fields: list[dict[str, Any]], again: bool) -> None:
        messages = self._new(fields)
        old = [message for message in self.seen.values() if self._may_be_sent_again(message)]
        if old:
            messages += data.draw(st.lists(st.sampled_from(old), max_size=2, unique_by=id))
        self._enqueue(sorted(messages, key=lambda message: message.id), again)

    def _new(self, fields: list[dict[str, Any]]) -> list[Message]:
        return [Message(id=f"job-{next(self.ids):04}", **given) for given in fields]

    def _may_be_sent_again(self, message: Message) -> bool:
        if self.model.is_vague(message.id):
            return False
        return message.id_given or self.model.marks_own_ids or message.id in self.model.jobs

    def _enqueue(self, messages: list[Message], again: bool) -> None:
        expected = self.model.enqueue(messages)
        assert self.people.enqueue_many(messages) == expected
        self.seen.update({message.id: message for message, new in zip(messages, expected, strict=True) if new})
        if again:
            assert self.people.enqueue_many(messages) == [False] * len(messages)

    @rule(data=st.data(), whom=st.sampled_from(["claimed", "live", "any", "nobody"]), again=st.booleans())
    def cancel(self, data: st.DataObject, whom: str, again: bool) -> None:
        choices = {
            "claimed": [job_id for job_id, job in self.model.jobs.items() if job.claim],
            "live": list(self.model.jobs),
            "any": list(self.seen),
        }.get(whom)
        job_id = data.draw(st.sampled_from(choices)) if choices else f"job-{next(self.ids):04}"
        self._cancel(job_id, again, terminate=data.draw(st.booleans()))

    def _cancel(self, job_id: str, again: bool, terminate: bool) -> None:
        if job_id not in self.seen:
            self.seen[job_id] = Message(id=job_id, task=TASKS[0], queue=QUEUES[0], body='{"v":1}', id_given=True)
        vague = self.model.is_vague(job_id)
        expected = self.model.cancel(job_id, terminate=terminate)
        answers = {expected}
        if expected is CancelAnswer.UNKNOWN and (vague or job_id in self.unknown):
            answers.add(CancelAnswer.TOO_LATE)  # a mark need not say whose it is
        assert self.people.cancel(job_id, terminate=terminate) in answers
        if expected is CancelAnswer.UNKNOWN:
            self.unknown.add(job_id)
            answers.add(CancelAnswer.TOO_LATE)
        if again:
            assert self.people.cancel(job_id) in answers

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), again=st.booleans())
    def requeue(self, data: st.DataObject, again: bool) -> None:
        stored = data.draw(st.sampled_from(self.stored))
        assert self.people.requeue(stored) is self.model.requeue(stored)
        if again:
            assert self.people.requeue(stored) is False

    @precondition(lambda self: self.model.ended)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model.ended)))
        assert self.results.forget([job_id]) == self.model.forget(job_id)
        assert self.results.forget([job_id]) == 0
