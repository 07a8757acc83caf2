"""What a project's tests ask of its jobs: JobsMixin, memory_stores, the clock, the fixtures of pytest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connections as databases
from django.db import transaction
from django.test import SimpleTestCase, TestCase, override_settings

from django_jobs import AsyncResult, State, Task, enqueue, job
from django_jobs.backends.database import DatabaseBroker
from django_jobs.backends.memory import MemoryBroker
from django_jobs.connections import connections
from django_jobs.exceptions import JobsError, TaskNotRegistered
from django_jobs.registry import registry
from django_jobs.testing import Jobs, JobsMixin, memory_stores, run_jobs
from django_jobs.testing.fixtures import jobs, jobs_eager, jobs_in_memory  # noqa: F401  fixtures, found by their name


@job(queue="mail")
def send(to: str, *, subject: str = "Hello", copies: tuple[str, ...] = ()) -> str:
    return f"{subject} {to}"


@job
def other() -> None: ...


@job(bind=True)
def later(self: Task[..., Any]) -> int:
    if self.request.retries == 0:
        self.retry(countdown=600)
    return int(self.request.retries)


@pytest.fixture(autouse=True, scope="module")
def _known() -> Iterator[None]:
    """Let the registry know these tasks here only; tests of a TestCase run before all others."""
    for task in (send, other, later):
        registry.register(task.spec)
    yield
    for task in (send, other, later):
        registry.unregister(task.name)


class OnTheDatabase(JobsMixin, TestCase):
    """The broker is the configured one, and takes part in the test's transaction."""

    def test_what_waits_is_found_however_it_was_called(self) -> None:
        result = send.delay("ann", copies=("bob",))

        assert self.assert_enqueued(send) == [result]
        self.assert_enqueued(send.name, args=("ann",), kwargs={"copies": ["bob"]})
        self.assert_enqueued(send, kwargs={"to": "ann", "subject": "Hello", "copies": ("bob",)}, queue="mail", times=1)
        self.assert_not_enqueued(send, args=("bob",))
        self.assert_not_enqueued(send, queue="default")
        self.assert_not_enqueued(send, priority=1)
        self.assert_not_enqueued(other)

    def test_what_is_missing_is_told_with_what_waits(self) -> None:
        with pytest.raises(AssertionError, match=r"No job of tests\.testing\.test_jobs\.other waits\. No job waits"):
            self.assert_enqueued(other)
        send.delay("ann", subject="Hi")
        with pytest.raises(AssertionError, match=r"What waits:\n.*send in mail: \('ann', subject='Hi'\)"):
            self.assert_enqueued(send, args=("bob",))
        with pytest.raises(AssertionError, match=r"1 jobs of .* wait, not 2"):
            self.assert_enqueued(send, times=2)
        with pytest.raises(AssertionError, match=r"1 jobs of .* wait"):
            self.assert_not_enqueued(send)
        with pytest.raises(AssertionError, match="can have these arguments: missing a required argument: 'to'"):
            self.assert_enqueued(send, args=())
        with pytest.raises(TaskNotRegistered):
            self.assert_not_enqueued("tests.no_such")

    def test_what_has_run_or_was_rolled_back_waits_no_more(self) -> None:
        send.delay("ann")
        assert self.run_jobs() == {"succeeded": 1}
        with pytest.raises(RuntimeError), transaction.atomic():
            send.delay("bob")
            self.assert_enqueued(send)
            raise RuntimeError
        self.assert_not_enqueued(send)

    def test_what_starts_later_runs_when_it_is_time(self) -> None:
        hour = send.apply_async(("ann",), countdown=3600)
        self.assert_enqueued(send, args=("ann",))
        self.travel(3599)
        assert self.run_jobs() == {}
        self.travel(timedelta(seconds=2))
        assert self.run_jobs() == {"succeeded": 1}
        assert hour.get(timeout=0) == "Hello ann"

    def test_travelling_ends_with_the_test(self) -> None:
        assert not _shifted()
        self.travel(60)
        assert _shifted()
        self.doCleanups()
        assert not _shifted()

    def test_what_goes_out_on_commit_is_captured(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            transaction.on_commit(lambda: send.delay("ann"))
            self.assert_not_enqueued(send)
        self.assert_enqueued(send, times=1)


def _shifted() -> bool:
    from django_jobs.backends.database.engines import shifts_us

    return any(shifts_us.values())


class InMemory(JobsMixin, SimpleTestCase):
    """No database at all."""

    jobs_in_memory = True

    def test_each_test_has_stores_of_its_own(self) -> None:
        self._alone()

    def test_also_this_one(self) -> None:
        self._alone()

    def _alone(self) -> None:
        self.assert_not_enqueued(other)
        result = other.delay()
        self.assert_enqueued(other)
        assert self.run_jobs() == {"succeeded": 1}
        assert result.status is State.SUCCEEDED

    def test_a_retry_comes_when_it_is_time(self) -> None:
        result = later.delay()
        assert self.run_jobs() == {"retrying": 1}
        self.assert_enqueued(later)
        assert self.run_jobs() == {}
        self.travel(601)
        assert self.run_jobs() == {"succeeded": 1}
        assert result.get(timeout=0) == 1

    def test_a_job_expires_when_it_is_time(self) -> None:
        result = other.apply_async(expires=10)
        self.travel(11)
        assert self.run_jobs() == {"expired": 1}
        assert result.status is State.EXPIRED

    def test_changed_settings_change_no_store(self) -> None:
        with self.settings(DJANGO_JOBS={"DEFAULT_QUEUE": "changed"}):
            other.delay()
            self.assert_enqueued(other, queue="changed")
        self.assert_enqueued(other)


class InMemoryWithTransactions(JobsMixin, TestCase):
    """As with Redis: jobs go out on commit."""

    jobs_in_memory = True

    def test_jobs_arrive_on_commit(self) -> None:
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            result = send.delay("ann")
            self.assert_not_enqueued(send)
        self.assert_enqueued(send)
        assert self.run_jobs() == {"succeeded": 1}
        assert result.get(timeout=0) == "Hello ann"


def test_the_configured_stores_come_back_after_the_block() -> None:
    with memory_stores() as store:
        assert isinstance(connections.broker, MemoryBroker)
        assert connections.broker.store is store
    assert isinstance(connections.broker, DatabaseBroker)


def test_the_clock_of_each_database_travels(database_alias: str) -> None:
    with databases[database_alias].cursor() as cursor:  # what others have left there is due, too
        for model in apps.get_app_config("django_jobs").get_models():
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
    with override_settings(DJANGO_JOBS={"DATABASE": database_alias}):
        probe = Jobs()
        sent: AsyncResult[Any] = enqueue(later.name)
        assert probe.run() == {"retrying": 1}
        probe.travel(601)
        try:
            assert probe.run() == {"succeeded": 1}
        finally:
            probe.close()
        assert sent.get(timeout=0) == 1


class Clockless(MemoryBroker):
    shift_clock = None  # type: ignore[assignment]  # a store whose clock nobody can move


def test_a_clock_that_cannot_be_moved_is_told(jobs_in_memory: Jobs) -> None:  # noqa: F811  the fixture
    with pytest.raises(JobsError, match="cannot be moved"):
        connections.use(Clockless(), connections.results)
        jobs_in_memory.travel(1)


@pytest.mark.django_db
def test_the_fixture_jobs(jobs: Jobs) -> None:  # noqa: F811  the fixture
    result = send.delay("ann")
    jobs.assert_enqueued(send, args=("ann",))
    assert jobs.run() == {"succeeded": 1}
    assert result.get(timeout=0) == "Hello ann"


def test_the_fixture_jobs_in_memory_needs_no_database(jobs_in_memory: Jobs) -> None:  # noqa: F811  the fixture
    send.apply_async(("ann",), countdown=60)
    jobs_in_memory.travel(61)
    assert run_jobs() == {"succeeded": 1}


def test_the_fixture_jobs_eager_runs_at_the_call(jobs_eager: None) -> None:  # noqa: F811  the fixture
    assert send.delay("ann").get(timeout=0) == "Hello ann"
