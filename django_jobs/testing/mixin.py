"""For Django's test cases: assertions about what waits, running it, and moving the clock."""

from __future__ import annotations

import unittest
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django_jobs.client.result import AsyncResult
from django_jobs.testing.jobs import Jobs
from django_jobs.testing.stores import memory_stores

if TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    _Base = object


class JobsMixin(_Base):
    """Put it before the test case: `class OrderTests(JobsMixin, TestCase)`.

    The jobs are those of the configured broker, inside the test's transaction where that is the database's.
    """

    jobs_in_memory: ClassVar[bool] = False
    """True gives each test stores of its own in memory, for a broker that tests do not have, and for SimpleTestCase."""

    def setUp(self) -> None:
        if self.jobs_in_memory:
            self.enterContext(memory_stores())
        self._jobs = Jobs()
        self.addCleanup(self._jobs.close)
        super().setUp()

    def run_jobs(self, queues: Collection[str] | None = None, *, max_jobs: int = 1000) -> Counter[str]:
        """Run what is due (see `django_jobs.testing.run_jobs`)."""
        return self._jobs.run(queues, max_jobs=max_jobs)

    def travel(self, seconds: float | timedelta) -> None:
        """Move the broker's clock until the end of the test."""
        self._jobs.travel(seconds)

    def assert_enqueued(self, task: Any, *, times: int | None = None, **wanted: Any) -> list[AsyncResult[Any]]:
        """Fail unless a job of the task waits: with these `args`, `kwargs`, `queue`, `priority`; return all that do."""
        return self._jobs.assert_enqueued(task, times=times, **wanted)

    def assert_not_enqueued(self, task: Any, **wanted: Any) -> None:
        """Fail if a job of the task waits: with these `args`, `kwargs`, `queue`, `priority`."""
        self._jobs.assert_not_enqueued(task, **wanted)
