"""The memory backend keeps the contracts."""

from __future__ import annotations

import pytest

from django_jobs.backends.memory import MemoryBroker, MemoryLock, MemoryResultStore, MemoryStore
from django_jobs.testing.contracts import BrokerContract, LockContract, ResultStoreContract, StoreHarness


class MemoryHarness(StoreHarness):
    """A store with a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.memory = MemoryStore(clock=lambda: 1_800_000_000_000_000)

    def broker(self) -> MemoryBroker:
        return MemoryBroker(store=self.memory)

    def results(self) -> MemoryResultStore:
        return MemoryResultStore(store=self.memory)

    def lock(self) -> MemoryLock:
        return MemoryLock(store=self.memory)

    def advance(self, seconds: float) -> None:
        self.memory.shift_clock(seconds)

    def now_us(self) -> int:
        return self.memory.now_us()

    def close(self) -> None:
        """Nothing is open."""

    def leave_thread(self) -> None:
        """A thread opens nothing."""

    def leftovers(self) -> int:
        return (
            len(self.memory.jobs)
            + len(self.memory.claims)
            + len(self.memory.marks)
            + len(self.memory.uniques)
            + len(self.memory.gates)
            + len(self.memory.turns)
        )


class MemoryCase:
    @pytest.fixture
    def store(self) -> MemoryHarness:
        return MemoryHarness()


class TestMemoryBroker(MemoryCase, BrokerContract):
    pass


class TestMemoryResultStore(MemoryCase, ResultStoreContract):
    pass


class TestMemoryLock(MemoryCase, LockContract):
    pass
