"""Limits in memory: jobs of one key that wait for each other, apart from the lines, and are let in by whoever looks."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django_jobs.backends.memory.records import Entry, Record
from django_jobs.core.bounds import Limit
from django_jobs.core.rate import Rate, allowance, opens_us, outstanding

if TYPE_CHECKING:
    from django_jobs.backends.memory.store import MemoryStore

BUSY_US: Final = 200_000
"""Before another look where workers have not claimed what was let in."""


@dataclass(slots=True)
class Gate:
    """One key: who waits, who was let in, and the pace."""

    limit: Limit
    waiting: list[Entry] = field(default_factory=list)
    let_in: dict[str, Record] = field(default_factory=dict)
    next_us: int = 0
    timer_us: int | None = None
    """When to look again, as a rate wants it."""


class Gates:
    """The limits of one store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._gates: dict[str, Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    def through(self) -> int:
        """Return how many jobs have been let in and have not left."""
        return sum(len(gate.let_in) for gate in self._gates.values())

    def wait(self, record: Record) -> None:
        """Let a job wait; its limit counts from now on for all of its key."""
        bounds = record.message.bounds
        assert bounds is not None
        assert bounds.limit is not None
        gate = self._gates.setdefault(bounds.limit.key, Gate(bounds.limit))
        gate.limit = bounds.limit
        heapq.heappush(gate.waiting, record.entry())

    def leave(self, record: Record) -> None:
        """Free the place that a job had; whoever looks next lets another one in."""
        if record.let_in:
            record.let_in = False
            self._gates[record.limit_key() or ""].let_in.pop(record.message.id, None)

    def open(self, now_us: int) -> None:
        """Let in who may; forget the keys of which nothing is left."""
        for key, gate in list(self._gates.items()):
            self._let_in(gate, now_us)
            if self._first(gate) is None and not gate.let_in and gate.next_us <= now_us:
                del self._gates[key]

    def _let_in(self, gate: Gate, now_us: int) -> None:
        starts, rate = self._starts(gate, now_us)
        while starts > 0 and (record := self._first(gate)) is not None:
            heapq.heappop(gate.waiting)
            if self._store.pauses.holds(record):
                self._store.pauses.put_aside(record)
                continue
            starts -= 1
            record.let_in = True
            gate.let_in[record.message.id] = record
            gate.next_us += rate.period_us if rate else 0
            self._store.place(record, now_us)
        gate.timer_us = None
        if rate is not None and self._first(gate) is not None:
            at_us = opens_us(rate, gate.next_us)
            gate.timer_us = at_us if at_us > now_us else now_us + BUSY_US

    def _starts(self, gate: Gate, now_us: int) -> tuple[int, Rate | None]:
        limit = gate.limit
        free = len(gate.waiting) if limit.slots is None else limit.slots - len(gate.let_in)
        if limit.period_us is None:
            return max(0, free), None
        rate = Rate(limit.period_us, limit.burst)
        waited = gate.timer_us == opens_us(rate, gate.next_us)  # for the rate, and for nothing else
        allowed = allowance(rate, gate.next_us, now_us, waited=waited)
        gate.next_us = allowed.next_us
        unclaimed = sum(record.claim is None for record in gate.let_in.values())
        return max(0, min(free, allowed.starts, outstanding(rate) - unclaimed)), rate

    def _first(self, gate: Gate) -> Record | None:
        while gate.waiting:
            record = self._store.jobs.get(gate.waiting[0][3])
            if record is not None and self._waits(record, gate.waiting[0]):
                return record
            heapq.heappop(gate.waiting)
        return None

    def _waits(self, record: Record, entry: Entry) -> bool:
        idle = record.claim is None and not record.later and not record.parked and not record.aside
        return idle and not record.let_in and record.entry() == entry

    def knows(self, key: str) -> bool:
        """Say whether a limit has a state."""
        return key in self._gates

    def waiting(self, key: str) -> Iterator[Entry]:
        """Yield the places of those who wait for a limit, the first one first, the others in any order."""
        gate = self._gates.get(key)
        if gate is None or self._first(gate) is None:
            return
        for entry in gate.waiting:
            record = self._store.jobs.get(entry[3])
            if record is not None and self._waits(record, entry):
                yield entry

    def next_seconds(self, now_us: int) -> float | None:
        """Return the seconds until a rate allows the next start, or None where none is waited for."""
        times = [gate.timer_us for gate in self._gates.values() if gate.timer_us is not None]
        return max(0, min(times) - now_us) / 1_000_000 if times else None
