"""Atomic jobs beside the memory broker: the settle, which cannot be taken back, follows the job's last write."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from django.db import transaction

from django_jobs.core.outcome import Outcome
from django_jobs.ports.atomic import AtomicRuns, AtomicUndone


class MemoryAtomicRuns(AtomicRuns):
    """For tests: job and store end with one process, so that only a commit that fails could tell the two apart."""

    def __init__(self, alias: str, settle: Callable[[Outcome], bool]) -> None:
        self._alias = alias
        self._settle = settle
        """Settles an outcome; False where its fence is stale."""

    def run(self, work: Callable[[], Outcome]) -> Outcome:
        with transaction.atomic(using=self._alias):
            outcome = work()
            if not self._settle(outcome):
                raise AtomicUndone("The job is not this worker's any more: what it wrote was rolled back.")
        return msgspec.structs.replace(outcome, settled=True)
