"""The contract of a maintenance lock."""

from __future__ import annotations

import pytest

from django_jobs.ports.lock import Lock
from django_jobs.testing.contracts.base import StoreContract
from django_jobs.testing.harness import StoreHarness


class LockContract(StoreContract):
    """Every lock passes this: subclass it and override `store`."""

    @pytest.fixture
    def lock(self, store: StoreHarness) -> Lock:
        return store.lock()

    def test_one_owner_at_a_time(self, store: StoreHarness, lock: Lock) -> None:
        assert lock.acquire("prune", owner="a", hold_seconds=60) is True
        assert store.lock().acquire("prune", owner="b", hold_seconds=60) is False

    def test_other_names_are_other_locks(self, lock: Lock) -> None:
        assert lock.acquire("prune", owner="a", hold_seconds=60) is True
        assert lock.acquire("sweep", owner="b", hold_seconds=60) is True

    def test_its_owner_gives_it_back(self, lock: Lock) -> None:
        lock.acquire("prune", owner="a", hold_seconds=60)
        assert lock.release("prune", owner="b") is False
        assert lock.acquire("prune", owner="b", hold_seconds=60) is False
        assert lock.release("prune", owner="a") is True
        assert lock.release("prune", owner="a") is False
        assert lock.acquire("prune", owner="b", hold_seconds=60) is True

    def test_a_lock_never_taken_cannot_be_given_back(self, lock: Lock) -> None:
        assert lock.release("prune", owner="a") is False

    def test_it_ends_by_itself(self, store: StoreHarness, lock: Lock) -> None:
        lock.acquire("prune", owner="a", hold_seconds=60)
        store.advance(50)
        assert lock.acquire("prune", owner="b", hold_seconds=60) is False
        store.advance(11)
        assert lock.acquire("prune", owner="b", hold_seconds=60) is True
        assert lock.release("prune", owner="a") is False

    def test_its_owner_prolongs_it(self, store: StoreHarness, lock: Lock) -> None:
        lock.acquire("prune", owner="a", hold_seconds=60)
        store.advance(50)
        assert lock.acquire("prune", owner="a", hold_seconds=60) is True
        store.advance(50)
        assert lock.acquire("prune", owner="b", hold_seconds=60) is False

    def test_who_let_it_end_may_take_it_again(self, store: StoreHarness, lock: Lock) -> None:
        lock.acquire("prune", owner="a", hold_seconds=60)
        store.advance(61)
        assert lock.acquire("prune", owner="a", hold_seconds=60) is True
