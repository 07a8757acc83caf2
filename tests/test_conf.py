"""DJANGO_JOBS: what it may say, and what is said of what it may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_jobs.conf import SETTING_KEYS, InvalidSettings, load_policy, read
from django_jobs.connections import connections
from django_jobs.core.policy import Policy
from django_jobs.exceptions import JobsError


def test_without_the_setting_every_default_stands() -> None:
    assert load_policy() == Policy(namespace="test_jobs", use_tz=load_policy().use_tz)


def test_each_key_is_a_field_of_the_policy() -> None:
    assert {key.lower() for key in SETTING_KEYS} <= set(Policy.__dataclass_fields__)


@override_settings(
    DJANGO_JOBS={
        "RESULT_STORE": None,
        "DEFAULT_QUEUE": "slow",
        "QUEUES": {"mail": {"weight": 3}},
        "SESSION_RENEW_SECONDS": timedelta(seconds=2),
        "MAX_CRASHES": 1,
        "RESULT_TTL_SECONDS": 60,
        "TASK_DEFAULTS": {"autoretry_for": KeyError, "max_retries": None},
        "NAMESPACE": "shop",
    }
)
def test_values_are_checked_and_made_uniform() -> None:
    policy = load_policy()
    assert (policy.result_store, policy.keeps_results) == (None, False)
    assert policy.default_queue == "slow"
    assert policy.queues == {"mail": {"weight": 3}}
    assert policy.session_renew_seconds == 2.0
    assert policy.task_defaults == {"retry_on": (KeyError,), "max_retries": None}
    assert policy.namespace == "test_shop"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "DJANGO_JOBS is list; it is a dict"),
        ({"BROKR": "x"}, "DJANGO_JOBS['BROKR'] is not a setting. Did you mean 'BROKER'?"),
        ({"ZZZZZZ": 1}, "The keys are: BROKER, CANCEL_GRACE_SECONDS, CARRY"),
        ({7: 1}, "DJANGO_JOBS[7] is not a setting"),
        ({"BROKER": ""}, "DJANGO_JOBS['BROKER'] = ''"),
        ({"DATABASE": "nowhere"}, "DATABASES has no such alias; it has default"),
        ({"DEFAULT_QUEUE": "a b"}, "a queue's name is"),
        ({"NAMESPACE": "a b"}, "DJANGO_JOBS['NAMESPACE']"),
        ({"QUEUES": {"a b": {}}}, "a queue's name is"),
        ({"QUEUES": {"a": 3}}, "what belongs to queue 'a' is a dict"),
        ({"QUEUES": {"a": {"wieght": 3}}}, "unknown key 'wieght'. Did you mean 'weight'?"),
        ({"QUEUES": {"a": {"weight": 0}}}, "at least 1"),
        ({"QUEUES": {"a": {"rrate": 3}}}, "The keys are: weight, priority, expires"),
        ({"QUEUES": {"a": {"priority": 300}}}, "queue 'a', priority: a priority is"),
        ({"ROUTES": {"a": {"exchange": "x"}}}, "'a': a route has no 'exchange'"),
        ({"ROUTES": 7}, "DJANGO_JOBS['ROUTES'] = 7: it is a dict of task names"),
        ({"EAGER": 1}, "True or False"),
        ({"QUEUES": ["a"]}, "queue name -> dict"),
        ({"GRACE_SECONDS": -1}, "at least 0"),
        ({"GRACE_SECONDS": float("nan")}, "at least 0"),
        ({"GRACE_SECONDS": "25"}, "a duration in seconds"),
        ({"GRACE_SECONDS": True}, "a duration in seconds"),
        ({"MAX_CRASHES": 0}, "at least 1"),
        ({"MAX_CRASHES": 2.5}, "a whole number"),
        ({"MAX_PAYLOAD_BYTES": 10}, "at least 1024"),
        ({"SESSION_TIMEOUT_SECONDS": 10}, "less than three times SESSION_RENEW_SECONDS"),
        ({"TASK_DEFAULTS": {"max_retry": 3}}, "Did you mean max_retries"),
        ({"TASK_DEFAULTS": {"bind": True}}, "'bind' belongs to one function"),
        ({"TASK_DEFAULTS": {"description": "x"}}, "'description' belongs to one function"),
        ({"TASK_DEFAULTS": [1]}, "a dict of @job's options"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_key(given: Any, told: str) -> None:
    _, problems = read(given)
    assert len(problems) == 1
    assert told in problems[0]


def test_every_problem_is_told_at_once() -> None:
    with override_settings(DJANGO_JOBS={"BROKR": 1, "MAX_CRASHES": 0}), pytest.raises(InvalidSettings) as caught:
        _ = connections.policy
    assert isinstance(caught.value, ImproperlyConfigured)
    assert isinstance(caught.value, JobsError)
    assert "BROKR" in str(caught.value)
    assert "MAX_CRASHES" in str(caught.value)


def test_a_changed_setting_makes_a_new_policy() -> None:
    before = connections.policy
    assert connections.policy is before
    with override_settings(DJANGO_JOBS={"MAX_CRASHES": 9}):
        assert connections.policy.max_crashes == 9
    assert connections.policy == before


@override_settings(DJANGO_JOBS={"BROKER": "nowhere.Broker", "RESULT_STORE": "django_jobs.nothing"})
def test_a_store_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(InvalidSettings, match=r"'BROKER'.*'nowhere\.Broker' cannot be loaded"):
        _ = connections.broker
    with pytest.raises(InvalidSettings, match="'RESULT_STORE'"):
        _ = connections.results
