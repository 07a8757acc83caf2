"""Maintenance locks in memory."""

from __future__ import annotations

from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.policy import Policy
from django_jobs.ports.lock import Lock


class MemoryLock(Lock):
    """Named locks among the threads of this process."""

    def __init__(self, policy: Policy | None = None, *, store: MemoryStore | None = None) -> None:
        self.store = store or (MemoryStore.named(policy.namespace) if policy else MemoryStore())

    def acquire(self, name: str, *, owner: str, hold_seconds: float) -> bool:
        with self.store.lock:
            now_us = self.store.now_us()
            holder, until_us = self.store.locks.get(name, (owner, 0))
            if holder != owner and until_us > now_us:
                return False
            self.store.locks[name] = (owner, now_us + round(hold_seconds * 1_000_000))
            return True

    def release(self, name: str, *, owner: str) -> bool:
        with self.store.lock:
            holder, until_us = self.store.locks.get(name, ("", 0))
            if holder != owner or until_us <= self.store.now_us():
                return False
            del self.store.locks[name]
            return True
