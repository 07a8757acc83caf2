"""What a contract suite needs to know of the store that it judges."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import pytest

from django_jobs.ports.broker import Broker
from django_jobs.ports.lock import Lock
from django_jobs.ports.result_store import ResultStore


class StoreHarness(ABC):
    """One empty store, seen from several processes, with a clock that a test can move.

    A suite's `store` fixture yields one; make a fresh store for every test. Each call of `broker`, `results` or
    `lock` returns what another process would open over this same store.
    """

    shares_results: bool = True
    """Whether the broker's settle step writes into `results` too, as where both live in one database."""
    exact_claims: bool = True
    """Whether each claim finds all that is ready. A store whose claims may overlook for a second what came back, or
    what has just become due, says False: order and completeness are then asked of a broker that has claimed nothing."""
    marks_own_ids: bool = True
    """Whether an ended id that its producer made stays taken for 15 s. Only a store whose enqueue is never sent
    twice under one id, since it joins the caller's own transaction, may do without."""

    @abstractmethod
    def broker(self) -> Broker: ...

    @abstractmethod
    def results(self) -> ResultStore: ...

    @abstractmethod
    def lock(self) -> Lock: ...

    def advance(self, seconds: float) -> None:
        """Shift the store's clock, forth or back, for every view of it. Cases that need this are skipped without."""
        pytest.skip(f"{type(self).__name__} cannot move its store's clock")

    def now_us(self) -> int:
        """Return the store's clock, near enough: microseconds since 1970."""
        return time.time_ns() // 1000

    def leftovers(self) -> int | None:
        """Count the rows or keys of the broker, without results and sessions; None where that cannot be told."""
        return None

    @abstractmethod
    def close(self) -> None:
        """End the store: close what is open, and undo what was done to its clock."""

    @abstractmethod
    def leave_thread(self) -> None:
        """Close what the calling thread, which is about to end, has opened by itself."""
