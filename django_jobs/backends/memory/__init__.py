"""A store in this process's memory: for tests and eager runs, and the reference for every other backend."""

from __future__ import annotations

from django_jobs.backends.memory.broker import MemoryBroker
from django_jobs.backends.memory.lock import MemoryLock
from django_jobs.backends.memory.results import MemoryResultStore
from django_jobs.backends.memory.store import MemoryStore

__all__ = ["MemoryBroker", "MemoryLock", "MemoryResultStore", "MemoryStore"]
