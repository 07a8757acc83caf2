"""What a job can say about its own future: retry with other arguments, snooze, ignore, reject; and the deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_jobs.core import attempts
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.exceptions import Ignore, Reject, Retry, Snooze
from tests.execution.test_executor import claim, executor, fails, run

pytestmark = pytest.mark.django_db


def run_after(outcome: Outcome, function: Callable[..., Any], *args: Any, **given: Any) -> Outcome:
    """Run the claim that follows `outcome`, as a broker would hand it out."""
    assert outcome.record is not None
    fields = {"attempts": attempts.append("", outcome.record), "failures": 1, "attempt": 6}
    return run(function, *args, fields=fields, **given)


def test_a_retry_may_change_the_arguments_of_all_later_runs() -> None:
    def function(number: int, *, note: str = "") -> Any:
        if number == 1:
            raise Retry(args=(2,))
        if not note:
            raise Retry(kwargs={"note": "b"})
        return [number, note]

    first = run(function, 1)
    assert first.kind is Kind.RETRYING
    second = run_after(first, function, 1)
    assert second.kind is Kind.RETRYING
    assert run_after(second, function, 1).result == '[2,"b"]'


def test_a_retry_with_arguments_that_do_not_fit_fails_and_says_why() -> None:
    def function(number: int) -> None:
        raise Retry(kwargs={"colour": "red"})

    outcome = run(function, 1)

    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert outcome.error.error_class.endswith("InvalidArguments")
    assert "colour" in outcome.error.message


@pytest.mark.parametrize(("value", "error_class"), [({1}, "SerializationError"), ("x" * 2000, "PayloadTooLarge")])
def test_a_retry_with_arguments_that_cannot_be_kept_fails(value: Any, error_class: str) -> None:
    def function(argument: Any) -> None:
        raise Retry(args=(value,))

    outcome = run(function, 1)

    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert outcome.error.error_class.endswith(error_class)


@pytest.mark.parametrize("steer", [Snooze(7), Snooze(7.0, "the shop is closed")])
def test_a_snooze_waits_without_a_failure(steer: Snooze) -> None:
    outcome = run(fails(steer), retry_on=(Exception,), max_retries=0)
    assert (outcome.kind, outcome.delay_seconds, outcome.record, outcome.error) == (Kind.SNOOZED, 7.0, None, None)


def test_what_may_be_raised_may_be_returned() -> None:
    assert run(lambda: Snooze(7)).kind is Kind.SNOOZED
    assert run(lambda: Retry(countdown=1)).kind is Kind.RETRYING
    assert run(lambda: Reject("no")).kind is Kind.FAILED


def test_an_ignored_job_is_done_and_returns_nothing() -> None:
    outcome = run(fails(Ignore("seen before")), retry_on=(Exception,))
    assert (outcome.kind, outcome.result, outcome.error, outcome.keep) == (Kind.SUCCEEDED, "", None, True)
    assert run(fails(Ignore()), ignore_result=True).keep is False


def test_a_rejected_job_has_failed_though_it_would_be_retried() -> None:
    outcome = run(fails(Reject("no such customer")), retry_on=(Exception,))
    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert outcome.error.message == "no such customer"


def test_a_rejected_job_that_asks_to_be_requeued_goes_to_the_end_of_its_line() -> None:
    outcome = run(fails(Reject("busy", requeue=True)))
    assert (outcome.kind, outcome.delay_seconds) == (Kind.SNOOZED, 0.0)


def test_a_deadline_is_counted_from_the_first_run() -> None:
    def function() -> None:
        raise ValueError("again")

    early = AttemptRecord(attempt=1, cause="failure", started_us=1, ended_us=2)
    given: dict[str, Any] = {"retry_on": (ValueError,), "retry_for": 60, "default_retry_delay": 1, "max_retries": None}

    assert run(function, **given).kind is Kind.RETRYING
    late = run(function, fields={"attempts": attempts.append("", early), "failures": 1}, **given)

    assert late.kind is Kind.FAILED
    assert late.error is not None
    assert late.error.error_class == "ValueError"


def test_a_retry_past_the_deadline_says_that_the_time_is_over() -> None:
    outcome = run(fails(Retry(countdown=61)), retry_for=60)
    assert outcome.kind is Kind.FAILED
    assert outcome.error is not None
    assert outcome.error.error_class.endswith("MaxRetriesExceededError")
    assert "retry_for" in outcome.error.message


def test_a_retry_inside_an_except_records_what_was_handled() -> None:
    def function() -> None:
        try:
            raise KeyError("lost")
        except KeyError:
            raise Retry(countdown=1) from None

    outcome = run(function)
    assert outcome.error is not None
    assert outcome.error.error_class == "KeyError"
    last = run(function, max_retries=0)
    assert last.error is not None
    assert last.error.error_class.endswith("MaxRetriesExceededError")
    assert "KeyError: 'lost'" in last.error.traceback


def test_a_call_overrides_how_its_job_is_retried() -> None:
    runner, plan = executor(fails(Retry()), max_retries=0, default_retry_delay=5)
    overridden = claim(options={"max_retries": 1, "default_retry_delay": 9.0})
    assert runner.run(overridden, plan).delay_seconds == 9.0
    assert runner.run(claim(), plan).kind is Kind.FAILED
