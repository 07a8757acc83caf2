"""Whether a failed job runs again, and when: decided here, acted on by the executor."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from django_jobs.core.options import DEFAULT_DELAY_SECONDS, TaskOptions
from django_jobs.exceptions import Reject, Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """Run again after `delay_seconds`, or not; `exhausted` when only the number of retries forbids it."""

    again: bool
    delay_seconds: float = 0.0
    exhausted: bool = False
    too_late: bool = False
    """Exhausted by `retry_for`, not by `max_retries`."""


def decide(
    options: TaskOptions, *, error: BaseException, failures: int, random: Random, elapsed_seconds: float = 0.0
) -> RetryDecision:
    """Decide about a job that has raised `error` after `failures` earlier failures.

    A `Retry` always asks for another run; other errors only where `retry_on` names them (all of them are named with
    `acks_on_failure=False`) and `dont_retry_on` does not; a `Reject` never. `elapsed_seconds` since the first run began
    count against `retry_for`, with the wait on top.
    """
    decision = _decide(options, error=error, failures=failures, random=random)
    if options.retry_for is None or not decision.again or elapsed_seconds + decision.delay_seconds <= options.retry_for:
        return decision
    return RetryDecision(again=False, exhausted=True, too_late=True)


def _decide(options: TaskOptions, *, error: BaseException, failures: int, random: Random) -> RetryDecision:
    max_retries = options.max_retries
    if isinstance(error, Retry):
        if error.forever:
            max_retries = None
        elif error.max_retries is not None:
            max_retries = error.max_retries
    elif isinstance(error, (Reject, *options.dont_retry_on)) or not (
        isinstance(error, options.retry_on) or not options.acks_on_failure
    ):
        return RetryDecision(again=False)
    if max_retries is not None and failures >= max_retries:
        return RetryDecision(again=False, exhausted=True)
    if isinstance(error, Retry) and error.countdown is not None:
        return RetryDecision(again=True, delay_seconds=max(0.0, error.countdown))
    return RetryDecision(again=True, delay_seconds=delay_seconds(options, failures=failures, random=random))


def delay_seconds(options: TaskOptions, *, failures: int, random: Random) -> float:
    """Return the wait before the retry that follows `failures` earlier failures.

    `default_retry_delay` alone is that wait each time. Otherwise it doubles from `retry_backoff` (10 s unless given),
    is capped by `retry_backoff_max`, and drawn at random between 0 and that with `retry_jitter`.
    """
    factor = options.retry_backoff
    if factor is None:
        if options.default_retry_delay is not None:
            return options.default_retry_delay
        factor = DEFAULT_DELAY_SECONDS
    delay = min(options.retry_backoff_max, factor * 2.0 ** min(failures, 60))
    return random.uniform(0.0, delay) if options.retry_jitter else delay
