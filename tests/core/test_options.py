"""Options of a task: their names, their ranges, Celery's spelling, and whose word counts."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from django_jobs.core.options import _CHECKS, OPTION_NAMES, TaskOptions, canonical, resolve, with_limits
from django_jobs.core.spelling import ALIASES
from django_jobs.exceptions import InvalidOptions


def test_retry_kwargs_are_spread_out() -> None:
    given = {"autoretry_for": (OSError,), "retry_kwargs": {"max_retries": 7, "countdown": 5}}
    resolved = resolve(given)
    assert (resolved.max_retries, resolved.default_retry_delay, resolved.retry_on) == (7, 5.0, (OSError,))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"retry_kwargs": {"throw": False}}, "write every other option by itself"),
        ({"retry_kwargs": 5}, "it is a dict of max_retries and countdown"),
        ({"retry_kwargs": {"countdown": 5}, "default_retry_delay": 6}, "'default_retry_delay' is given by itself and"),
        ({"retry_kwargs": {"countdown": -1}}, "default_retry_delay=-1"),
    ],
)
def test_retry_kwargs_that_cannot_be_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptions, match=text):
        canonical(given)


def test_every_option_has_a_check() -> None:
    assert set(_CHECKS) == OPTION_NAMES == {field.name for field in fields(TaskOptions)}
    assert set(ALIASES.values()) <= OPTION_NAMES


def test_the_defaults_pass_their_own_checks() -> None:
    defaults = {field.name: getattr(TaskOptions(), field.name) for field in fields(TaskOptions)}
    assert resolve(defaults) == TaskOptions() == resolve({})


def test_the_decorator_goes_before_the_settings_and_these_before_our_defaults() -> None:
    resolved = resolve({"max_retries": 1}, {"max_retries": 2, "priority": 3})
    assert (resolved.max_retries, resolved.priority, resolved.retry_jitter) == (1, 3, True)


def test_celerys_spelling_is_the_same_option() -> None:
    resolved = resolve({"autoretry_for": [ValueError], "dont_autoretry_for": (KeyError,)}, {"retry_on": (OSError,)})
    assert (resolved.retry_on, resolved.dont_retry_on) == ((ValueError,), (KeyError,))


def test_both_spellings_at_once_are_refused() -> None:
    with pytest.raises(InvalidOptions, match="'autoretry_for' and its other spelling are both given"):
        canonical({"retry_on": (ValueError,), "autoretry_for": (ValueError,)})


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("queue", "mail:eu.1_a-b", "mail:eu.1_a-b"),
        ("queue", None, None),
        ("priority", -100, -100),
        ("priority", 100, 100),
        ("retry_on", ValueError, (ValueError,)),
        ("retry_on", [KeyError, OSError], (KeyError, OSError)),
        ("retry_on", (), ()),
        ("max_retries", 0, 0),
        ("max_retries", None, None),
        ("default_retry_delay", 5, 5.0),
        ("default_retry_delay", timedelta(minutes=1), 60.0),
        ("default_retry_delay", None, None),
        ("retry_backoff", True, 1.0),
        ("retry_backoff", False, None),
        ("retry_backoff", 2.5, 2.5),
        ("expires", timedelta(hours=1), 3600.0),
        ("description", "what it does", "what it does"),
    ],
)
def test_a_value_in_range_is_taken(name: str, value: Any, kept: Any) -> None:
    taken = canonical({name: value})
    assert taken == {name: kept}
    assert type(taken[name]) is type(kept)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue", ""),
        ("queue", "a b"),
        ("queue", "a\n"),
        ("queue", "x" * 129),
        ("queue", 5),
        ("priority", 101),
        ("priority", -101),
        ("priority", 1.0),
        ("priority", True),
        ("priority", None),
        ("bind", 1),
        ("bind", None),
        ("retry_on", "ValueError"),
        ("retry_on", ValueError()),
        ("retry_on", (ValueError, int)),
        ("retry_on", 5),
        ("max_retries", -1),
        ("max_retries", 2.0),
        ("max_retries", True),
        ("default_retry_delay", -1),
        ("default_retry_delay", True),
        ("default_retry_delay", float("nan")),
        ("default_retry_delay", float("inf")),
        ("default_retry_delay", "10"),
        ("retry_backoff", -1),
        ("retry_backoff_max", None),
        ("retry_backoff_max", 10**10),
        ("retry_jitter", 0.5),
        ("expires", timedelta(seconds=-1)),
        ("ignore_result", "yes"),
        ("acks_late", None),
        ("throws", (1,)),
        ("description", None),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidOptions, match=rf"^{name}="):
        canonical({name: value})


@pytest.mark.parametrize("value", ["x" * 10**6, {"a": "b"}, object()])
def test_even_a_strange_value_gets_our_error(value: object) -> None:
    with pytest.raises(InvalidOptions):
        canonical({"queue": value})


def test_an_unknown_option_is_refused_with_what_was_meant() -> None:
    with pytest.raises(InvalidOptions, match=r"^'max_retry' is not an option of a task. Did you mean .*max_retries"):
        canonical({"max_retry": 3})
    with pytest.raises(InvalidOptions, match=r"The options are: .*acks_late.*, throws"):
        canonical({"zzzzzz": 3})


def test_an_error_in_the_settings_says_so() -> None:
    with pytest.raises(InvalidOptions, match=r"^TASK_DEFAULTS: priority=500"):
        resolve({}, {"priority": 500})


@pytest.mark.parametrize("given", [{"time_limit": 0}, {"soft_time_limit": -1}, {"time_limit": "1"}])
def test_a_limit_of_time_is_above_zero(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match="seconds"):
        resolve(given)


@pytest.mark.parametrize(
    ("given", "defaults"),
    [({"soft_time_limit": 10, "time_limit": 5}, {}), ({"soft_time_limit": 10}, {"time_limit": 5})],
)
def test_a_soft_limit_above_the_hard_one_is_refused(given: dict[str, Any], defaults: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"10 s\) is above time_limit \(5 s\)"):
        resolve(given, defaults)


@pytest.mark.parametrize(
    ("own", "fallback", "expected"),
    [
        ({}, (1.0, 2.0), (1.0, 2.0)),
        ({"time_limit": 5.0}, (1.0, 2.0), (1.0, 5.0)),
        ({"time_limit": 0.5}, (1.0, 2.0), (None, 0.5)),
        ({"soft_time_limit": 3.0}, (1.0, 2.0), (3.0, None)),
    ],
)
def test_a_workers_limits_are_for_tasks_without_their_own(
    own: dict[str, Any], fallback: tuple[float, float], expected: tuple[float | None, float | None]
) -> None:
    made = with_limits(resolve(own), soft_seconds=fallback[0], hard_seconds=fallback[1])
    assert (made.soft_time_limit, made.time_limit) == expected


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"acks_on_failure": False, "acks_late": False}, "starts once at most"),
        ({"atomic": True, "acks_late": False}, "rolled back when its process dies"),
        ({"reject_on_worker_lost": False}, "use acks_late=False"),
    ],
)
def test_what_contradicts_itself_about_crashes_is_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptions, match=text):
        resolve(given)


@pytest.mark.parametrize("value", [True, None])
def test_celerys_option_for_what_is_the_rule_here_changes_nothing(value: bool | None) -> None:
    assert resolve({"reject_on_worker_lost": value}) == TaskOptions()
