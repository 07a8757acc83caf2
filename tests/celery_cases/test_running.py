"""What people who come from Celery count on: the numbered cases of how it behaves, or the better rule.

Real jobs over the memory broker, whose clock the tests move: nothing waits. What needs processes is in
tests/integration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_jobs import (
    AsyncResult,
    InvalidArguments,
    InvalidOption,
    JobFailed,
    MaxRetriesExceededError,
    Reject,
    ResultError,
    ResultTimeout,
    State,
    Task,
    current_job,
)
from django_jobs.backends.memory import MemoryBroker, MemoryResultStore, MemoryStore
from django_jobs.connections import connections
from django_jobs.testing import run_jobs
from tests.client.conftest import Declare, declare  # noqa: F401  a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker() -> Iterator[MemoryBroker]:
    store = MemoryStore()
    made = MemoryBroker(store=store)
    connections.use(made, MemoryResultStore(store=store))
    yield made
    connections.reset()


class Runs:
    """Notes each run of a job: its number of retries and the broker's time, in seconds."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.retries: list[int] = []
        self.times: list[float] = []
        self._broker = broker

    def note(self) -> int:
        request = current_job()
        assert request is not None
        self.retries.append(request.retries)
        self.times.append(self._broker.store.now_us() / 1e6)
        return len(self.retries)

    @property
    def gaps(self) -> list[float]:
        return [round(after - before, 1) for before, after in zip(self.times, self.times[1:], strict=False)]


@pytest.fixture
def runs(broker: MemoryBroker) -> Runs:
    return Runs(broker)


def drain(broker: MemoryBroker, result: AsyncResult[Any]) -> None:
    """Run what is due and move the clock to when the job goes on, until it has ended."""
    for _ in range(100):
        run_jobs()
        if result.ready():
            return
        view = broker.state_of([result.id])[result.id]
        assert view.due_us is not None
        broker.shift_clock(max(0.0, (view.due_us - broker.store.now_us()) / 1e6))
    raise AssertionError(f"it is {result.status}")


Function = Callable[..., Any]


def test_33_retries_are_counted_and_the_given_error_is_the_last_word(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function(self: Any) -> None:
        runs.note()
        self.retry(countdown=0.1, exc=KeyError("k"))

    result = declare(function, bind=True, max_retries=3).apply_async(on_commit=False)
    drain(broker, result)

    assert runs.retries == [0, 1, 2, 3]
    assert runs.gaps == [0.1, 0.1, 0.1]
    assert (result.status, result.state) == (State.FAILED, "FAILURE")
    with pytest.raises(JobFailed, match="KeyError"):
        result.get(timeout=0)


def test_34_without_an_error_it_is_max_retries_exceeded(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function(self: Any) -> None:
        runs.note()
        self.retry(countdown=0)

    result = declare(function, bind=True, max_retries=2).apply_async(on_commit=False)
    drain(broker, result)

    assert runs.retries == [0, 1, 2]
    with pytest.raises(MaxRetriesExceededError):
        result.get(timeout=0)


def test_35_the_wait_doubles_from_the_factor(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function() -> None:
        runs.note()
        raise ValueError("boom")

    task = declare(function, autoretry_for=(ValueError,), max_retries=2, retry_backoff=1, retry_jitter=False)
    result = task.apply_async(on_commit=False)
    drain(broker, result)

    assert runs.gaps == [1.0, 2.0]
    with pytest.raises(JobFailed, match="boom"):
        result.get(timeout=0)


def test_36_the_wait_is_capped(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function() -> None:
        runs.note()
        raise ValueError

    options = {"retry_backoff": 5, "retry_backoff_max": 600, "retry_jitter": False, "max_retries": 9}
    drain(broker, declare(function, autoretry_for=(ValueError,), **options).apply_async(on_commit=False))

    assert runs.gaps == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_37_what_is_excepted_from_retries_runs_once(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function() -> None:
        runs.note()
        raise KeyError

    result = declare(function, autoretry_for=(Exception,), dont_autoretry_for=(KeyError,)).apply_async(on_commit=False)
    drain(broker, result)

    assert (runs.retries, result.state) == ([0], "FAILURE")


def test_38_without_a_limit_it_goes_on_until_it_succeeds(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def function() -> int:
        if (count := runs.note()) < 6:
            raise ValueError
        return count

    result = declare(function, retry_on=(ValueError,), max_retries=None).apply_async(on_commit=False)
    drain(broker, result)

    assert runs.retries == [0, 1, 2, 3, 4, 5]
    assert result.get(timeout=0) == 6


def test_40_a_soft_limit_above_the_hard_one_is_refused(declare: Declare) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="above time_limit"):
        declare(lambda: None, name="tests.never", soft_time_limit=2, time_limit=1)
    with pytest.raises(InvalidOption, match="above time_limit"):
        declare(lambda: None, name="tests.call").apply_async(soft_time_limit=2, time_limit=1)


def test_43_a_wrong_call_fails_in_the_caller(broker: MemoryBroker, declare: Declare) -> None:  # noqa: F811
    def add(left: int, right: int) -> int:
        return left + right

    with pytest.raises(InvalidArguments, match="right"):
        declare(add).delay(1)
    assert broker.list() == []


def test_44_an_endless_wait_for_another_job_inside_a_job_is_refused(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
) -> None:
    other = declare(lambda: 1, name="tests.other").apply_async(countdown=60, on_commit=False)
    waits = declare(lambda: AsyncResult(other.id).get(), name="tests.waits")
    result = waits.apply_async(on_commit=False)
    drain(broker, result)

    with pytest.raises(ResultError, match="without a timeout"):
        result.get(timeout=0)
    with pytest.raises(ResultTimeout):
        other.get(timeout=0.01)
    broker.shift_clock(61)
    run_jobs()
    assert other.get(timeout=0) == 1


def test_61_a_rejected_job_comes_back_or_ends(
    broker: MemoryBroker,
    declare: Declare,  # noqa: F811
    runs: Runs,
) -> None:
    def returns(requeue: bool) -> str:
        if runs.note() == 1:
            raise Reject("not now", requeue=requeue)
        return "ok"

    task: Task[..., Any] = declare(returns)
    back = task.apply_async((True,), on_commit=False)
    drain(broker, back)
    assert back.get(timeout=0) == "ok"
    assert runs.retries == [0, 0]

    runs.retries.clear()
    dropped = task.apply_async((False,), on_commit=False)
    drain(broker, dropped)
    assert dropped.state == "FAILURE"


def test_63_eager_counts_the_same_and_waits_for_nothing(declare: Declare, runs: Runs) -> None:  # noqa: F811
    def function(self: Any) -> None:
        runs.note()
        self.retry(countdown=30, exc=KeyError("k"))

    result = declare(function, bind=True, max_retries=3).apply()

    assert runs.retries == [0, 1, 2, 3]
    assert runs.times[-1] - runs.times[0] < 1
    assert (result.state, len(result.attempts)) == ("FAILURE", 4)


def test_48_a_state_of_its_own_is_readable_while_it_runs(broker: MemoryBroker, declare: Declare) -> None:  # noqa: F811
    seen: list[Any] = []

    def function(self: Any) -> str:
        self.update_state(state="PROGRESS", meta={"done": 1})
        seen.append((result.state, result.info))
        return "ready"

    result = declare(function, bind=True).apply_async(on_commit=False)
    drain(broker, result)

    assert seen == [("PROGRESS", {"done": 1})]
    assert (result.state, result.info) == ("SUCCESS", "ready")
