"""Whether a failed job runs again, and the bounds of the wait before it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.core.options import RETURNS, TaskOptions, resolve
from django_jobs.core.retry import RetryDecision, decide, delay_seconds
from django_jobs.exceptions import Reject, Retry, TimeLimitExceeded

NO_JITTER = Random(0)
failures_so_far = st.integers(0, 10_000)
waits = st.floats(0, 1e9)
options = st.builds(
    TaskOptions,
    max_retries=st.one_of(st.none(), st.integers(0, 100)),
    default_retry_delay=st.one_of(st.none(), waits),
    retry_backoff=st.one_of(st.none(), waits),
    retry_backoff_max=waits,
    retry_jitter=st.booleans(),
    retry_on=st.just((Exception,)),
)


class Steady(Random):
    """Draws the upper bound each time."""

    def uniform(self, a: float, b: float) -> float:
        return b


# -- the wait --------------------------------------------------------------------------------------------------


@given(options=options, failures=failures_so_far, seed=st.integers())
def test_a_wait_is_never_negative_and_never_above_its_bound(options: TaskOptions, failures: int, seed: int) -> None:
    seconds = delay_seconds(options, failures=failures, random=Random(seed))
    if options.retry_backoff is None and options.default_retry_delay is not None:
        assert seconds == options.default_retry_delay
    else:
        assert 0 <= seconds <= options.retry_backoff_max


@given(options=options, failures=failures_so_far)
def test_without_jitter_waits_never_shrink(options: TaskOptions, failures: int) -> None:
    now, later = (delay_seconds(options, failures=count, random=Steady()) for count in (failures, failures + 1))
    assert now <= later


@given(options=options, failures=failures_so_far, seed=st.integers())
def test_jitter_only_shortens(options: TaskOptions, failures: int, seed: int) -> None:
    drawn = delay_seconds(options, failures=failures, random=Random(seed))
    assert drawn <= delay_seconds(options, failures=failures, random=Steady())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [10, 20, 40, 80, 160, 320, 600, 600]),
        ({"default_retry_delay": 300.0}, [300] * 8),
        ({"retry_backoff": 5.0}, [5, 10, 20, 40, 80, 160, 320, 600]),
        ({"retry_backoff": 1.0, "retry_backoff_max": 4.0}, [1, 2, 4, 4, 4, 4, 4, 4]),
        ({"retry_backoff": 5.0, "default_retry_delay": 300.0}, [5, 10, 20, 40, 80, 160, 320, 600]),
        ({"default_retry_delay": 3600.0}, [3600] * 8),
        ({"retry_backoff": 0.0}, [0] * 8),
    ],
    ids=str,
)
def test_the_waits_are_those_of_the_documentation(given: dict[str, Any], expected: list[float]) -> None:
    options = TaskOptions(**given, retry_jitter=False)
    assert [delay_seconds(options, failures=count, random=NO_JITTER) for count in range(8)] == expected


def test_jitter_is_full() -> None:
    random = Random(1)
    drawn = [delay_seconds(TaskOptions(), failures=0, random=random) for _ in range(1000)]
    assert min(drawn) < 1
    assert max(drawn) > 9


def test_equal_seeds_give_equal_waits() -> None:
    first, second = (delay_seconds(TaskOptions(), failures=3, random=Random(7)) for _ in range(2))
    assert first == second


# -- the decision ----------------------------------------------------------------------------------------------


@given(options=options, failures=failures_so_far)
def test_a_job_runs_again_exactly_as_often_as_allowed(options: TaskOptions, failures: int) -> None:
    decision = decide(options, error=ValueError(), failures=failures, random=Steady())
    allowed = options.max_retries is None or failures < options.max_retries
    assert (decision.again, decision.exhausted) == (allowed, not allowed)


@pytest.mark.parametrize(
    ("given", "error", "again"),
    [
        ({}, ValueError(), False),
        ({"retry_on": (ValueError,)}, ValueError(), True),
        ({"retry_on": (Exception,)}, ValueError(), True),
        ({"retry_on": (Exception,), "dont_retry_on": (ValueError,)}, UnicodeError(), False),
        ({"retry_on": (Exception,), "dont_retry_on": (ValueError,)}, KeyError(), True),
        ({"retry_on": (Exception,)}, SystemExit(), False),
        ({"retry_on": (ValueError,)}, KeyError(), False),
        ({}, Retry(), True),
        ({"dont_retry_on": (Retry,)}, Retry(), True),
    ],
    ids=str,
)
def test_an_error_is_retried_where_the_task_says_so(given: dict[str, Any], error: BaseException, again: bool) -> None:
    decision = decide(TaskOptions(**given), error=error, failures=0, random=NO_JITTER)
    assert (decision.again, decision.exhausted) == (again, False)


@pytest.mark.parametrize(
    ("max_retries", "error", "failures", "expected"),
    [
        (3, Retry(countdown=7), 2, RetryDecision(again=True, delay_seconds=7.0)),
        (3, Retry(countdown=7), 3, RetryDecision(again=False, exhausted=True)),
        (3, Retry(countdown=7, max_retries=5), 4, RetryDecision(again=True, delay_seconds=7.0)),
        (3, Retry(countdown=7, max_retries=0), 0, RetryDecision(again=False, exhausted=True)),
        (0, Retry(countdown=7, forever=True), 10_000, RetryDecision(again=True, delay_seconds=7.0)),
        (0, Retry(countdown=7, forever=True, max_retries=1), 5, RetryDecision(again=True, delay_seconds=7.0)),
        (None, Retry(countdown=-5), 0, RetryDecision(again=True, delay_seconds=0.0)),
        (3, Retry(countdown=0), 0, RetryDecision(again=True, delay_seconds=0.0)),
    ],
)
def test_a_retry_says_when_and_how_often(
    max_retries: int | None, error: Retry, failures: int, expected: RetryDecision
) -> None:
    options = TaskOptions(max_retries=max_retries)
    assert decide(options, error=error, failures=failures, random=NO_JITTER) == expected


def test_a_retry_without_a_countdown_takes_the_tasks_wait() -> None:
    decision = decide(TaskOptions(default_retry_delay=42.0), error=Retry(), failures=1, random=NO_JITTER)
    assert decision == RetryDecision(again=True, delay_seconds=42.0)


# -- the deadline ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elapsed", "countdown", "again"), [(0, 10, True), (50, 10, True), (51, 10, False), (100, 0, False)]
)
def test_no_retry_begins_past_its_deadline(elapsed: float, countdown: float, again: bool) -> None:
    options = TaskOptions(retry_for=60.0, max_retries=None)
    decision = decide(options, error=Retry(countdown=countdown), failures=7, random=NO_JITTER, elapsed_seconds=elapsed)
    assert (decision.again, decision.exhausted, decision.too_late) == (again, not again, not again)


def test_a_rejected_job_is_never_retried() -> None:
    options = TaskOptions(retry_on=(Exception,), max_retries=None)
    assert decide(options, error=Reject("no use"), failures=0, random=NO_JITTER) == RetryDecision(again=False)


# -- acks_on_failure=False -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError(), TimeLimitExceeded(), SystemExit(1)])
def test_a_job_that_is_not_acknowledged_on_failure_runs_again_whatever_it_raises(error: BaseException) -> None:
    options = resolve({"acks_on_failure_or_timeout": False})
    decision = decide(options, error=error, failures=0, random=Steady())
    assert decision == RetryDecision(again=True, delay_seconds=10.0)
    assert not decide(resolve({}), error=error, failures=0, random=Steady()).again


def test_its_waits_grow_and_it_ends_some_time() -> None:
    options = resolve({"acks_on_failure": False})
    waits = [decide(options, error=KeyError(), failures=n, random=Steady()).delay_seconds for n in range(RETURNS)]
    assert waits[:7] == [10, 20, 40, 80, 160, 320, 600]
    assert set(waits[6:]) == {600}
    assert decide(options, error=KeyError(), failures=RETURNS, random=Steady()) == RetryDecision(
        again=False, exhausted=True
    )


def test_a_bound_of_its_own_counts_and_what_is_named_as_final_ends_it() -> None:
    options = resolve({"acks_on_failure": False, "dont_retry_on": (KeyError,)}, {"max_retries": 2})
    assert not decide(options, error=KeyError(), failures=0, random=NO_JITTER).again
    assert not decide(options, error=Reject(), failures=0, random=NO_JITTER).again
    assert decide(options, error=ValueError(), failures=1, random=NO_JITTER).again
    assert not decide(options, error=ValueError(), failures=2, random=NO_JITTER).again
    assert resolve({"acks_on_failure": False, "max_retries": None}).max_retries is None
