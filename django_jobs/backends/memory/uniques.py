"""Unique keys in memory: who holds one, taken and freed in the step that changes the job."""

from __future__ import annotations

from collections.abc import Sequence

from django_jobs.backends.memory.records import Member
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.bounds import Unique
from django_jobs.core.message import Message
from django_jobs.core.states import State
from django_jobs.ports.broker import Taken, key_is_held


class Uniques:
    """The keys of one store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._members: dict[str, Member] = store.uniques

    def enqueue(self, messages: Sequence[Message], now_us: int, *, raises: bool) -> list[Taken]:
        """Take in messages; say which job stands for each."""
        if raises:
            self._refuse(messages, now_us)
        return [self._admit(message, now_us) for message in messages]

    def _refuse(self, messages: Sequence[Message], now_us: int) -> None:
        taken: dict[str, str] = {}
        for message in messages:
            unique = message.bounds.unique if message.bounds else None
            if unique is None or self._store.is_known(message.id, now_us):
                continue
            holder = taken.get(unique.key) or self.holder(unique.key, now_us)
            if holder is not None and unique.conflict == "raise":
                raise key_is_held(message, holder)
            taken[unique.key] = message.id

    def _admit(self, message: Message, now_us: int) -> Taken:
        unique = message.bounds.unique if message.bounds else None
        if unique is None:
            return Taken(message.id, self._store.admit(message, now_us))
        if self._store.is_known(message.id, now_us):
            return Taken(message.id, is_new=False)
        holder = self.holder(unique.key, now_us)
        if holder is not None and not (unique.conflict == "replace" and self._end_waiting(holder, now_us)):
            return Taken(holder, is_new=False)
        self.take(unique, message.id, now_us)
        return Taken(message.id, self._store.admit(message, now_us))

    def _end_waiting(self, job_id: str, now_us: int) -> bool:
        record = self._store.jobs.get(job_id)
        if record is None or record.claim is not None:
            return False
        self._store.end(record, record.as_result(State.CANCELLED, finished_us=now_us), now_us)
        return True

    def take(self, unique: Unique, job_id: str, now_us: int) -> None:
        until_us = None if unique.for_us is None else now_us + unique.for_us
        self._members[unique.key] = Member(job_id, until_us, unique.until_start)

    def holder(self, key: str, now_us: int) -> str | None:
        """Return the id of the job that holds a key, or None for a free one."""
        member = self._members.get(key)
        if member is None:
            return None
        if member.until_us is not None:
            return member.job_id if member.until_us > now_us else None
        record = self._store.jobs.get(member.job_id)
        if record is None or (member.until_start and record.attempt):
            return None
        return member.job_id

    def may_start_again(self, unique: Unique, job_id: str, now_us: int) -> bool:
        """Take the key for a job that is started again; False where another one holds it."""
        if unique.until_start or unique.for_us is not None:
            return True
        if self.holder(unique.key, now_us) is not None:
            return False
        self.take(unique, job_id, now_us)
        return True
