"""Stores in memory for one test, and the clock of whatever store there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.signals import setting_changed

from django_jobs.backends.memory import MemoryBroker, MemoryResultStore, MemoryStore
from django_jobs.connections import connections
from django_jobs.exceptions import JobsError


@contextmanager
def memory_stores() -> Iterator[MemoryStore]:
    """Give this process an empty broker and result store in memory, whatever DJANGO_JOBS says, for the block.

    They need no database and know no transactions: what is enqueued inside of one arrives when it commits, which in a
    TestCase is the end of `captureOnCommitCallbacks(execute=True)`.
    """
    store = MemoryStore()
    broker, results = MemoryBroker(store=store), MemoryResultStore(store=store)

    def keep(**_: Any) -> None:
        connections.use(broker, results)  # a changed setting has made `connections` forget them

    keep()
    setting_changed.connect(keep)
    try:
        yield store
    finally:
        setting_changed.disconnect(keep)
        connections.reset()


def shift_clock(seconds: float | timedelta) -> None:
    """Move the clock of the broker, as this process sees it: jobs become due and expire, Python's clock stays.

    Shift it back at the end of the test. `travel` of `JobsMixin` and of the fixtures does so by itself.

    Raises:
        JobsError: the store's clock cannot be moved, as that of a store of somebody else.
    """
    broker = connections.broker
    move = getattr(broker, "shift_clock", None)
    if move is None:
        raise JobsError(f"The clock of {broker.describe()} cannot be moved. Use memory_stores() for this test.")
    move(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
