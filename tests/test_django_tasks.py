"""Django's tasks as jobs: what Django's own tests of a backend (tests/django_suite) do not ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import FunctionType
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.utils import timezone

if django.VERSION < (6, 0):
    pytest.importorskip("django_tasks")

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import TaskResultStatus, task, task_backends
    from django.tasks.exceptions import InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist
    from django.tasks.signals import task_finished, task_started
else:
    from django_tasks import TaskResultStatus, task, task_backends
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_finished, task_started

from django_jobs import AsyncResult, Ignore, Reject, Snooze, current_job, enqueue, job
from django_jobs.connections import connections
from django_jobs.django_tasks import JobsBackend
from django_jobs.registry import registry
from django_jobs.testing import run_jobs

pytestmark = pytest.mark.django_db

PATH = "django_jobs.django_tasks.JobsBackend"
failures_left: list[Exception] = []


@task
def double(number: int) -> int:
    return number * 2


@task(takes_context=True)
async def describe(context: Any, text: str) -> list[Any]:
    return [text, context.attempt, context.task_result.backend]


@task(takes_context=True)
def fragile(context: Any) -> int:
    if failures_left:
        raise failures_left.pop()
    attempt: int = context.attempt
    return attempt


@task
def not_a_number() -> float:
    return float("nan")


@task
def give_away() -> None:
    """In its first run give the claim back, as a keeper does that believes its child dead."""
    if not given_away:
        view = connections.broker.state_of([current_job().id])[current_job().id]  # type: ignore[union-attr]
        given_away.append(view.claim)
        connections.broker.release([view.claim], cause="interrupted")  # type: ignore[list-item]


given_away: list[Any] = []


@job(name="tests.no_django_task")
def plain() -> None: ...


@pytest.fixture(autouse=True, scope="module")
def _forget() -> Iterator[None]:
    yield
    for name in (
        *(f"{__name__}.{item}" for item in ("double", "describe", "fragile", "not_a_number", "give_away")),
        "tests.no_django_task",
    ):
        registry.unregister(name)


@pytest.fixture
def finished() -> Iterator[list[Any]]:
    heard: list[Any] = []

    def hear(task_result: Any, **_: Any) -> None:
        heard.append((task_result.status, task_result.attempts))

    task_finished.connect(hear)
    yield heard
    task_finished.disconnect(hear)


def test_the_backend_offers_all_that_one_can() -> None:
    assert JobsBackend.supports_defer
    assert JobsBackend.supports_async_task
    assert JobsBackend.supports_get_result
    assert JobsBackend.supports_priority


def test_queue_priority_and_start_travel_with_the_job() -> None:
    start = timezone.now() + timedelta(hours=1)

    result = double.using(queue_name="numbers", priority=-7, run_after=start).enqueue(21)

    view = connections.broker.state_of([result.id])[result.id]
    expected = start if timezone.is_aware(start) else timezone.make_aware(start)
    assert (view.queue, view.priority) == ("numbers", -7)
    assert view.due_us == round(expected.timestamp() * 1_000_000)
    assert double.get_result(result.id) == result
    assert run_jobs() == {}


def test_a_coroutine_gets_the_context() -> None:
    result: Any = describe.enqueue("text")

    assert run_jobs() == {"succeeded": 1}
    result.refresh()
    assert result.return_value == ["text", 1, "default"]


def test_a_plain_job_of_the_same_function_has_a_result_too() -> None:
    handle = enqueue(f"{__name__}.double", 4)

    run_jobs()
    assert handle.get(timeout=0) == 8
    result = double.get_result(handle.id)
    assert (result.return_value, result.args, result.backend) == (8, [4], "default")


def test_options_of_the_alias_are_those_of_its_jobs(settings: Any, finished: list[Any]) -> None:
    options = {"retry_on": OSError, "default_retry_delay": 0}
    settings.TASKS = {"default": {"BACKEND": PATH, "OPTIONS": options}}
    started: list[int] = []

    def hear(task_result: Any, **_: Any) -> None:
        started.append(task_result.attempts)

    task_started.connect(hear)
    again = task(takes_context=True)(_same_function())
    failures_left.extend([OSError("second"), OSError("first")])
    try:
        result = again.enqueue()
        assert run_jobs() == {"retrying": 2, "succeeded": 1}
    finally:
        task_started.disconnect(hear)
    result.refresh()

    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 3)
    assert [error.exception_class for error in result.errors] == [OSError, OSError]
    assert "first" in result.errors[0].traceback
    assert started == [1, 2, 3]
    assert finished == [(TaskResultStatus.SUCCESSFUL, 3)]


@pytest.mark.parametrize(
    ("retry_for", "ran", "told"),
    [(5, {"failed": 1}, [(TaskResultStatus.FAILED, 1)]), (3600, {"retrying": 1}, [])],
    ids=["too late for a retry", "in time"],
)
def test_a_task_whose_time_for_retries_is_over_has_finished(
    settings: Any, finished: list[Any], retry_for: float, ran: dict[str, int], told: list[Any]
) -> None:
    options = {"retry_on": OSError, "default_retry_delay": 60, "retry_for": retry_for}
    settings.TASKS = {"default": {"BACKEND": PATH, "OPTIONS": options}}
    failures_left.append(OSError("once"))

    task(takes_context=True)(_same_function()).enqueue()

    assert run_jobs() == ran
    assert finished == told


def test_a_task_that_never_ran_has_finished_once_it_is_cancelled(finished: list[Any]) -> None:
    result = double.enqueue(1)

    AsyncResult[int](result.id).cancel()
    AsyncResult[int](result.id).cancel()

    assert finished == [(TaskResultStatus.FAILED, 0)]


def test_a_task_has_not_finished_where_its_end_was_refused(finished: list[Any]) -> None:
    """Somebody else had the job by the time that it ended."""
    result = give_away.enqueue()

    assert run_jobs() == {"succeeded": 1}
    result.refresh()
    assert finished == [(result.status, result.attempts)] == [(TaskResultStatus.SUCCESSFUL, 2)]


def _same_function() -> Any:
    """Return `fragile`'s function anew, so that the next declaration is one of its own."""
    function = FunctionType(fragile.func.__code__, globals(), "fragile")
    function.__module__ = __name__
    return function


def test_a_failure_is_told_once(finished: list[Any]) -> None:
    failures_left.append(ValueError("once"))
    result = fragile.enqueue()

    run_jobs()
    result.refresh()
    assert finished == [(TaskResultStatus.FAILED, 1)]
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)


@pytest.mark.parametrize("later", [Snooze(0), Reject(requeue=True)], ids=["snoozed", "put back"])
def test_a_task_that_asks_for_a_later_run_has_not_finished(finished: list[Any], later: Exception) -> None:
    failures_left.append(later)
    fragile.enqueue()

    assert run_jobs() == {"snoozed": 1, "succeeded": 1}
    assert finished == [(TaskResultStatus.SUCCESSFUL, 1)]


def test_a_task_that_wants_to_be_ignored_has_succeeded(finished: list[Any]) -> None:
    failures_left.append(Ignore())
    fragile.enqueue()

    run_jobs()
    assert finished == [(TaskResultStatus.SUCCESSFUL, 1)]


def test_a_value_that_json_cannot_carry_fails_the_task() -> None:
    result = not_a_number.enqueue()

    assert run_jobs() == {"failed": 1}
    result.refresh()
    assert issubclass(result.errors[0].exception_class, TypeError)


def test_a_call_that_does_not_fit_fails_in_the_caller() -> None:
    with pytest.raises(TypeError, match="unexpected 'nmber'"):
        double.enqueue(nmber=1)  # type: ignore[call-arg]  # that is the point
    assert run_jobs() == {}


def test_a_cancelled_job_has_failed_without_an_attempt() -> None:
    result = double.enqueue(1)
    AsyncResult[int](result.id).cancel()

    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 0)
    assert result.errors[0].exception_class_path == "django_jobs.exceptions.JobCancelled"


@pytest.mark.parametrize("job_id", ["", "x" * 65, "no such\0id", "é", "unknown"])
def test_an_id_that_cannot_be_is_unknown(job_id: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(job_id)


def test_a_job_of_no_task_of_django_has_no_task_result() -> None:
    with pytest.raises(TaskResultDoesNotExist, match=r"tests\.no_django_task"):
        task_backends["default"].get_result(plain.delay().id)


def test_the_instants_are_as_the_project_has_them() -> None:
    result = double.enqueue(1)
    run_jobs()
    result.refresh()

    for instant in (result.enqueued_at, result.started_at, result.finished_at):
        assert instant is not None
        assert timezone.is_aware(instant) is timezone.is_aware(timezone.now())
        assert abs(timezone.now() - instant) < timedelta(minutes=1)


def test_a_queue_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidTask, match="'no way' cannot be"):
        double.using(queue_name="no way")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"max_retry": 1}, "Did you mean max_retries"), ({"queue": "a"}, "'queue' belongs to one task")],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidTaskBackend, match=told):
        JobsBackend("default", {"BACKEND": PATH, "OPTIONS": options})


def test_a_task_that_is_a_job_already_is_refused() -> None:
    with pytest.raises(InvalidTask, match="module level"):
        task(plain)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"TASKS": {"default": {"BACKEND": PATH, "QUEUES": ["a b"]}}}, ["django_jobs.E021"]),
        ({"INSTALLED_APPS": []}, ["django_jobs.E020"]),
        ({"DJANGO_JOBS": {"RESULT_STORE": None}}, ["django_jobs.W020"]),
    ],
)
def test_the_checks_of_an_alias(settings: Any, changed: dict[str, Any], expected: list[str]) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)

    assert [message.id for message in task_backends["default"].check()] == expected


def test_an_enqueue_is_undone_with_its_transaction() -> None:
    from django.db import transaction

    with pytest.raises(RuntimeError), transaction.atomic():
        result = double.enqueue(1)
        raise RuntimeError

    with pytest.raises(TaskResultDoesNotExist):
        double.get_result(result.id)


def test_eager_runs_it_at_the_enqueue(settings: Any) -> None:
    settings.DJANGO_JOBS = {"EAGER": True, "EAGER_PROPAGATES": False}
    failures_left.append(ValueError("once"))

    failed, doubled = fragile.enqueue(), double.enqueue(4)

    assert (failed.status, [error.exception_class for error in failed.errors]) == (
        TaskResultStatus.FAILED,
        [ValueError],
    )
    assert (doubled.return_value, doubled.task) == (8, double)
    assert run_jobs() == {}
