"""The contract of atomic jobs: one transaction holds what a job writes and, as its last step, the job's settle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from django_jobs.core.outcome import Outcome


class AtomicUndone(Exception):
    """Nothing of an atomic job is stored by this run, or nobody knows; its text says why. The job is given back.

    Who gives it back does so by its fence, and so waits for a commit that may still be on its way.
    """


class AtomicRuns(ABC):
    """Runs jobs in transactions of the thread that asks, on the connection that the jobs use."""

    @abstractmethod
    def run(self, work: Callable[[], Outcome]) -> Outcome:
        """Run `work` in a transaction, settle what it returns, commit, and return that with `settled`.

        Atomic: what `work` writes on this alias, what it enqueues, and the settle by its fence. Of a job that raises
        nothing is left; its outcome is settled apart.
        Blocks: as long as `work` does, and where the store has one writer until it is this one.

        Raises:
            AtomicUndone: the fence has refused the settle, the session was not renewed, or the connection broke.
            TransactionBroken: the job has ended the transaction itself; what it had written till then stays.
            BaseException: what `work` raises, or the database for what it wrote (a constraint that is checked last).
        """
