"""Atomic jobs as the executor sees them: in the store's transaction, or at the call in one without a settle."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from django_jobs.core.outcome import Outcome
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import InvalidOptions
from django_jobs.ports.atomic import AtomicRuns


class AtomicAtTheCall(AtomicRuns):
    """Runs jobs that were never enqueued: there is a transaction, or a savepoint in the caller's, and no claim."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def run(self, work: Callable[[], Outcome]) -> Outcome:
        with transaction.atomic(using=self._alias):
            return work()


def run_atomically(runs: AtomicRuns | None, spec: TaskSpec, work: Callable[[], Outcome]) -> Outcome:
    """Run `work` as an atomic job of this task.

    Raises:
        InvalidOptions: the broker shares no transaction with what the job writes.
        AtomicUndone, TransactionBroken, BaseException: see `AtomicRuns.run`.
    """
    if runs is None:
        raise InvalidOptions(
            f"{spec.name} has atomic=True, which needs the database broker: another store cannot commit together with "
            "what the job writes. Remove BROKER from DJANGO_JOBS, or atomic from the task."
        )
    return runs.run(work)
