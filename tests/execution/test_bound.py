"""`self.retry` of a bound task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_jobs.exceptions import InvalidOption
from django_jobs.execution.bound import build_retry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_eta_becomes_a_countdown_and_never_a_negative_one() -> None:
    assert build_retry(eta=NOW + timedelta(seconds=90), now=NOW).countdown == 90
    assert build_retry(eta=NOW - timedelta(seconds=90), now=NOW).countdown == 0


def test_none_retries_means_for_ever_and_nothing_given_means_the_tasks_own() -> None:
    assert build_retry(max_retries=None, now=NOW).forever
    own = build_retry(now=NOW)
    assert (own.forever, own.max_retries, own.countdown) == (False, None, None)


def test_the_error_is_kept() -> None:
    error = ValueError()

    assert build_retry(exc=error, countdown=1, now=NOW).error is error


@pytest.mark.parametrize(
    "given",
    [
        {"countdown": 1, "eta": NOW},
        {"countdown": -1},
        {"countdown": float("nan")},
        {"max_retries": -1},
        {"max_retries": "3"},
        {"eta": NOW.replace(tzinfo=None)},
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidOption, match="retry"):
        build_retry(now=NOW, **given)  # type: ignore[arg-type]  # wrong on purpose
