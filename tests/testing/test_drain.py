"""run_jobs: what is due runs here, inside the test's own transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db import connections as databases
from django.test import TestCase, override_settings

from django_jobs import AsyncResult, Retry, State, Task, current_job, enqueue, job
from django_jobs.backends.memory import MemoryBroker, MemoryResultStore, MemoryStore
from django_jobs.connections import connections
from django_jobs.exceptions import JobsError
from django_jobs.models import JobResult, MaintenanceLock
from django_jobs.registry import registry
from django_jobs.signals import job_succeeded
from django_jobs.testing import run_jobs


@job
def double(number: int) -> int:
    return 2 * number


@job
async def double_later(number: int) -> int:
    return 2 * number


@job
def fan_out(count: int) -> None:
    for number in range(count):
        double.using(queue=f"fan-{number % 2}").delay(number)


@job
def again() -> None:
    again.delay()


@job(max_retries=2, retry_on=ValueError, default_retry_delay=0)
def third_time() -> int:
    current = current_job()
    assert current is not None
    if current.retries < 2:
        raise ValueError(current.retries)
    return current.retries


@job(bind=True)
def patient(self: Task[..., Any]) -> None:
    raise Retry(countdown=60)


@job
def conflict(alias: str) -> None:
    for _ in range(2):
        MaintenanceLock.objects.using(alias).create(name="same", owner="job", until_us=0)


class RunJobsTests(TestCase):
    """In a TestCase of a project, with nothing configured."""

    def test_what_is_due_runs(self) -> None:
        results = [double.delay(21), double_later.delay(4)]
        assert results[0].status is State.QUEUED
        assert run_jobs() == {"succeeded": 2}
        assert [result.get(timeout=0) for result in results] == [42, 8]

    def test_nothing_due_is_nothing_run(self) -> None:
        double.apply_async((1,), countdown=60)
        assert run_jobs() == {}

    def test_what_the_jobs_enqueue_runs_too(self) -> None:
        fan_out.delay(5)
        assert run_jobs() == {"succeeded": 6}

    def test_only_the_named_queues_are_drained(self) -> None:
        kept = double.using(queue="other").delay(1)
        double.delay(2)
        assert run_jobs(["default"]) == {"succeeded": 1}
        assert kept.status is State.QUEUED

    def test_retries_without_a_wait_run_at_once(self) -> None:
        result = third_time.delay()
        assert run_jobs() == {"retrying": 2, "succeeded": 1}
        assert result.get(timeout=0) == 2

    def test_a_retry_that_waits_stays(self) -> None:
        result = patient.delay()
        assert run_jobs() == {"retrying": 1}
        assert result.status is State.RETRYING

    def test_what_expired_is_dropped(self) -> None:
        result = double.apply_async((1,), expires=timedelta(microseconds=1))
        assert run_jobs() == {"expired": 1}
        assert result.status is State.EXPIRED

    def test_a_job_that_enqueues_itself_is_stopped(self) -> None:
        again.delay()
        with self.assertRaisesMessage(JobsError, "run_jobs has run 20 jobs"):
            run_jobs(max_jobs=20)
        assert connections.broker.sessions() == []
        (stats,) = connections.broker.stats()
        assert (stats.queued, stats.running) == (1, 0), "the job that it held went back"

    def test_signals_are_sent_as_by_a_worker(self) -> None:
        seen: list[str] = []

        def note(*, sender: str, **_: Any) -> None:
            seen.append(sender)

        job_succeeded.connect(note)
        try:
            double.delay(1)
            run_jobs()
        finally:
            job_succeeded.disconnect(note)
        assert seen == [double.name]

    def test_a_job_of_an_unknown_task_is_parked(self) -> None:
        spec = registry.require(double.name)
        sent = enqueue(double.name, 1)
        registry.unregister(double.name)
        try:
            assert run_jobs() == {"unknown_task": 1}
        finally:
            registry.register(spec)
        assert sent.status is State.QUEUED
        assert connections.broker.list(parked=True)[0].id == sent.id


@pytest.fixture
def alias(database_alias: str) -> Iterator[str]:
    with databases[database_alias].cursor() as cursor:  # what others have left there is due, too
        for model in apps.get_app_config("django_jobs").get_models():
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
    with override_settings(DJANGO_JOBS={"DATABASE": database_alias}):
        yield database_alias


def test_a_job_that_breaks_the_transaction_is_undone_alone(alias: str) -> None:
    with transaction.atomic(using=alias):
        broken = conflict.delay(alias)
        fine = double.delay(1)
        assert run_jobs() == {"failed": 1, "succeeded": 1}
        assert broken.status is State.FAILED
        assert IntegrityError.__name__ in connections.results.load_many([broken.id])[broken.id].error_class
        assert fine.get(timeout=0) == 2
        assert not MaintenanceLock.objects.using(alias).filter(name="same").exists()
        transaction.set_rollback(True, using=alias)
    assert not JobResult.objects.using(alias).filter(id=fine.id).exists()


def test_outside_of_a_transaction_what_ran_is_stored(alias: str) -> None:
    result: AsyncResult[int] = double.delay(3)
    assert run_jobs() == {"succeeded": 1}
    assert JobResult.objects.using(alias).get(id=result.id).status == State.SUCCEEDED


@job(atomic=True)
def write_and_fail(fails: bool) -> str:
    MaintenanceLock.objects.create(name="atomic", owner="job", until_us=0)
    double.delay(1)
    if fails:
        raise ValueError("after the write")
    return "written"


class AtomicTests(TestCase):
    """Atomic jobs inside a test's own transaction: a savepoint stands for theirs."""

    def test_what_it_writes_is_there_with_its_end(self) -> None:
        result = write_and_fail.delay(False)
        assert run_jobs() == {"succeeded": 2}
        assert result.get(timeout=0) == "written"
        assert MaintenanceLock.objects.filter(name="atomic").count() == 1

    def test_of_one_that_fails_nothing_is_left(self) -> None:
        result = write_and_fail.delay(True)
        assert run_jobs() == {"failed": 1}
        assert result.status is State.FAILED
        assert not MaintenanceLock.objects.filter(name="atomic").exists()

    def test_at_the_call_it_is_the_same(self) -> None:
        assert write_and_fail.apply((False,)).get(timeout=0) == "written"
        assert MaintenanceLock.objects.filter(name="atomic").count() == 1
        MaintenanceLock.objects.filter(name="atomic").delete()
        assert write_and_fail.apply((True,)).failed()
        assert not MaintenanceLock.objects.filter(name="atomic").exists()
        assert run_jobs() == {"succeeded": 1}  # what the first one has enqueued

    def test_beside_a_store_in_memory_it_is_the_same(self) -> None:
        store = MemoryStore()
        connections.use(MemoryBroker(store=store), MemoryResultStore(store=store))
        try:
            write_and_fail.apply_async((True,), on_commit=False)
            assert run_jobs() == {"failed": 1}
            assert not MaintenanceLock.objects.filter(name="atomic").exists()
            written = write_and_fail.apply_async((False,), on_commit=False)
            assert run_jobs()["succeeded"] >= 1
            assert written.status is State.SUCCEEDED
            assert MaintenanceLock.objects.filter(name="atomic").exists()
        finally:
            connections.reset()
