"""Turns in memory: the places of jobs that have a key for it, in their line or in front of their limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django_jobs.backends.memory.records import Entry, Record
from django_jobs.core.fairness import begin_of, place_of
from django_jobs.core.message import PRIORITY_MAX

if TYPE_CHECKING:
    from django_jobs.backends.memory.store import MemoryStore

Line = tuple[bool, str, int]
"""Whether it is one in front of a limit, its name, and 100 - priority."""


class Turns:
    """The keys of one store that may have to wait for others, each with the place after its last one."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._next_us: dict[Line, dict[str, int]] = {}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._next_us.values())

    def enter(self, record: Record, now_us: int) -> None:
        """Give a job that begins to wait its place, if it has a key."""
        bounds = record.message.bounds
        if bounds is None or bounds.fair is None:
            return
        limit = record.limit_key()
        line = (limit is not None, limit or record.message.queue, PRIORITY_MAX - record.message.priority)
        keys = self._next_us.setdefault(line, {})
        record.has_turn = True
        head_us = self._head_us(line, record.message.queue)
        last_us = max(keys.values(), default=None) if head_us is None else None
        record.at_us = place_of(begin_of(head_us, last_us, now_us), keys.get(bounds.fair))
        keys[bounds.fair] = record.at_us + 1

    def _head_us(self, line: Line, queue: str) -> int | None:
        at_limit, name, rank = line
        first = self._first(self._store.gates.waiting(name), rank) if at_limit else None
        first = first or self._first(self._store.standing(queue), rank)
        return first[1] if first else None

    def _first(self, entries: Iterator[Entry], rank: int) -> Entry | None:
        """The very first one comes first, and is nearly always of the rank that is asked for."""
        first = next(entries, None)
        if first is None or first[0] >= rank:
            return first if first and first[0] == rank else None
        return min((entry for entry in entries if entry[0] == rank), default=None)

    def drop_passed(self, now_us: int) -> None:
        """Forget the keys that the heads of their lines have passed: they would begin there anyway."""
        for line in list(self._next_us):
            at_limit, name, _ = line
            if at_limit and not any(self._store.gates.waiting(name)) and self._store.gates.knows(name):
                continue  # those whom it has let through still wait in lines that are not looked at here
            head_us = self._head_us(line, "" if at_limit else name)
            passed_us = now_us if head_us is None else head_us
            kept = {key: next_us for key, next_us in self._next_us[line].items() if next_us > passed_us}
            self._next_us[line] = kept
            if not kept:
                del self._next_us[line]
