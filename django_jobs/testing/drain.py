"""Running what is due in this process, through the worker's own executor: for a project's tests."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

from django.db import DatabaseError
from django.db import connections as database_connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.backends.memory import MemoryBroker
from django_jobs.connections import connections
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.outcome import Outcome
from django_jobs.core.session import SessionInfo
from django_jobs.exceptions import JobsError
from django_jobs.execution.around import around_jobs
from django_jobs.execution.executor import Executor
from django_jobs.execution.plan import Plans
from django_jobs.execution.progress import Progresses, listening
from django_jobs.registry import registry
from django_jobs.worker.report import Reporter

WORKER: Final = "run_jobs"
MISSES: Final = 3
"""So many claims in a row bring nothing although there is something: then others hold it."""
LOOKS: Final = 10_000
"""So many claims may bring nothing that say there is more: each passes jobs of a paused task, a thousand at once."""
COPY_BATCH: Final = 500


def run_jobs(queues: Collection[str] | None = None, *, max_jobs: int = 1000) -> Counter[str]:
    """Run every job that is due, and those that they enqueue, until nothing is due; say how many came to what.

    Counted by the outcome of each run: `succeeded`, `failed`, `retrying`, `expired`, `unknown_task`. A retry that has
    to wait is not due: it stays. `queues` None means all. Inside a TestCase everything happens in the test's own
    transaction; a job that breaks it (an IntegrityError on PostgreSQL) is undone alone.

    Raises:
        JobsError: there is more after `max_jobs` runs.
    """
    return _Drain(queues).run(max_jobs)


class _Drain:
    """One worker without processes: one session, one claim after the other."""

    def __init__(self, queues: Collection[str] | None) -> None:
        policy = connections.policy
        self._broker = connections.broker
        self._queues = queues
        self._plans = Plans(registry.get, policy.task_defaults)
        self._executor = Executor(
            self._plans,
            worker=WORKER,
            keeps_results=policy.keeps_results,
            max_result_bytes=policy.max_result_bytes,
            random=Random(),
            tidies=not isinstance(self._broker, MemoryBroker),  # then the test may have no database at all
            around=around_jobs(policy),
            atomic_runs=self._broker.atomic_runs(lambda: True),
        )
        self._reporter = Reporter(WORKER)
        self._session = uuid.uuid4().hex
        self._number = 0
        self._ran: Counter[str] = Counter()
        self._progresses = Progresses(self._broker.set_progress, threaded=False)

    def run(self, max_jobs: int) -> Counter[str]:
        with listening(WORKER, self._progresses):
            return self._run(max_jobs)

    def _run(self, max_jobs: int) -> Counter[str]:
        self._broker.open_session(SessionInfo(id=self._session, worker=WORKER, host="", pid=0))
        try:
            while (claim := self._next()) is not None:
                if self._ran.total() >= max_jobs:
                    raise JobsError(
                        f"run_jobs has run {max_jobs} jobs, and {claim.message.task} is due. "
                        "Does a job enqueue itself? If there are so many, raise max_jobs."
                    )
                outcome = self._outcome(claim)
                self._progresses.end(claim.message.id)
                self._settle(claim, outcome)
        finally:
            self._broker.release([self._name()], cause="interrupted")
            self._broker.close_session(self._session)
        self._copy_results()
        return self._ran

    def _name(self) -> ClaimName:
        return ClaimName(self._session, 0, self._number)

    def _next(self) -> Claim | None:
        misses = looks = 0
        while misses < MISSES:
            ready = self._broker.ready_queues()
            queues = tuple(sorted(ready if self._queues is None else set(ready).intersection(self._queues)))
            if not queues:
                return None
            self._number += 1
            want = Want(name=self._name(), queues=queues, limit=1, suspects=True)
            answer = self._broker.exchange([], want)
            if answer.claims:
                return answer.claims[0]
            looks += 1
            misses += not answer.more or looks > LOOKS
        return None

    def _outcome(self, claim: Claim) -> Outcome:
        plan = self._plans.get(claim.message.task)
        refused = self._executor.refuse(claim, plan)
        if refused is not None:
            return refused
        assert plan is not None, "an unknown task is refused"
        with _savepoints():
            return self._executor.run(claim, plan)

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        if outcome.settled:
            self._broker.was_settled([outcome])
        elif self._broker.exchange([outcome], None).stale:
            self._executor.surroundings.forget(outcome.id)
            self._reporter.stale(claim, outcome)
            return
        plan = self._plans.get(claim.message.task)
        self._ran[outcome.kind.value] += 1
        self._reporter.ended(claim, plan, outcome)
        if plan is not None:
            self._executor.surroundings.follow_up(plan, outcome)

    def _copy_results(self) -> None:
        """Do a keeper's duty where results live in another store than jobs."""
        while connections.results.copy(COPY_BATCH) == COPY_BATCH:
            pass


@contextmanager
def _savepoints() -> Iterator[None]:
    """Give a job a savepoint in each transaction of the caller's, so that it cannot break them."""
    opened = [
        (connection, connection.savepoint())
        for connection in database_connections.all(initialized_only=True)
        if connection.in_atomic_block
    ]
    try:
        yield
    finally:
        for connection, savepoint in opened:
            if savepoint is not None:  # a database without savepoints gives none
                _end_savepoint(connection, savepoint)


def _end_savepoint(connection: BaseDatabaseWrapper, savepoint: str) -> None:
    if connection.needs_rollback:
        connection.needs_rollback = False
        connection.savepoint_rollback(savepoint)
        return
    try:
        connection.savepoint_commit(savepoint)
    except DatabaseError:  # PostgreSQL refuses everything after an error, until it is rolled back
        connection.savepoint_rollback(savepoint)
