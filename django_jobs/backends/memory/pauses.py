"""Pauses in memory: which queues and tasks are not claimed, and the jobs that were found in line nevertheless."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from django_jobs.backends.memory.records import Entry, Record
from django_jobs.core.pause import NOTHING_PAUSED, Pause, Pauses, Target

if TYPE_CHECKING:
    from django_jobs.backends.memory.store import MemoryStore


class MemoryPauses:
    """The pauses of one store. A job of a paused task is put aside when it is found at the head of its line."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._pauses: dict[Target, Pause] = {}
        self._now: Pauses = NOTHING_PAUSED

    def pause(self, target: Target, *, by: str, reason: str) -> bool:
        """Pause; False where it is paused already. Places of limits that its waiting jobs have are freed."""
        if target in self._pauses:
            return False
        store = self._store
        self._pauses[target] = Pause(kind=target.kind, name=target.name, since_us=store.now_us(), by=by, reason=reason)
        self._now = Pauses(self._pauses.values())
        for record in list(store.jobs.values()):
            if record.let_in and record.claim is None and self.holds(record):
                self.put_aside(record)
        store.wake()
        return True

    def resume(self, target: Target) -> bool:
        """End a pause and put back what nothing else holds; False where it is not paused."""
        if self._pauses.pop(target, None) is None:
            return False
        store = self._store
        self._now = Pauses(self._pauses.values())
        for record in store.jobs.values():
            if record.aside and not self.holds(record):
                record.aside = False
                store.place(record, store.now_us())
        store.wake()
        return True

    def all(self) -> list[Pause]:
        return [self._pauses[target] for target in sorted(self._pauses)]

    def holds(self, record: Record) -> bool:
        """Say whether a job's queue or task is paused."""
        return bool(self._now) and self._now.on(queue=record.message.queue, task=record.message.task) is not None

    def put_aside(self, record: Record) -> None:
        """Take a waiting job out of its line; another one may have its place at their limit."""
        self._store.gates.leave(record)
        record.aside = True

    def claimable(self, lines: dict[str, list[Entry]], queue: str) -> Record | None:
        """Return the first job of a line that may be claimed; put aside what stands before it and may not."""
        store = self._store
        if queue in self._now.queues:
            return None
        while (record := store.first(lines, queue)) is not None and self.holds(record):
            heapq.heappop(lines[queue])
            self.put_aside(record)
            store.gates.open(store.now_us())
        return record
