"""Mutual exclusion for maintenance: never for the correctness of a job."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Lock(ABC):
    """Named locks that end by themselves."""

    @abstractmethod
    def acquire(self, name: str, *, owner: str, hold_seconds: float) -> bool:
        """Take or prolong the lock for `owner`; False when another one holds it.

        Atomic: one owner at a time by the store's clock.
        Blocks: never.
        """

    @abstractmethod
    def release(self, name: str, *, owner: str) -> bool:
        """Give the lock back; False when `owner` does not hold it."""
