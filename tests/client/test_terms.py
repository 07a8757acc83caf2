"""The options of one call, over the task's, over the project's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from django_jobs import InvalidOption, SerializationError
from django_jobs.client.terms import EPOCH, LAST_US, Terms, agree, check_bindable, merge, plain_mapping
from django_jobs.core.options import TaskOptions
from django_jobs.core.policy import Policy

BERLIN = Policy(time_zone="Europe/Berlin", use_tz=True)


def terms(given: dict[str, Any] | None = None, *, policy: Policy = BERLIN, **options: Any) -> Terms:
    return agree(given or {}, options=TaskOptions(**options), policy=policy)


def test_without_options_the_task_and_the_project_decide() -> None:
    assert terms() == Terms(queue="default", priority=0)
    assert terms(queue="mail", priority=7, expires=60.0) == Terms(queue="mail", priority=7, expires_after_us=60_000_000)


def test_a_call_overrides_the_task() -> None:
    made = terms({"queue": "fast", "priority": -5, "expires": 1.5}, queue="mail", priority=7, expires=60.0)
    assert (made.queue, made.priority, made.expires_after_us) == ("fast", -5, 1_500_000)


def test_priority_zero_of_a_call_overrides_the_task() -> None:
    assert terms({"priority": 0}, priority=7).priority == 0


def test_none_is_as_if_not_given() -> None:
    given = dict.fromkeys(["countdown", "eta", "expires", "queue", "priority", "task_id", "headers"])
    assert terms(given, queue="mail", expires=60.0) == terms(queue="mail", expires=60.0)


def test_times_from_now_stay_relative_and_instants_stay_absolute() -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert terms({"countdown": timedelta(minutes=2)}).delay_us == 120_000_000
    assert terms({"countdown": 0}).delay_us is None
    made = terms({"eta": noon, "expires": noon + timedelta(seconds=1)})
    assert (made.eta_us, made.expires_us) == (1_893_499_200_000_000, 1_893_499_201_000_000)
    assert (made.delay_us, made.expires_after_us) == (None, None)


def test_an_eta_in_another_zone_is_the_same_instant() -> None:
    tokyo = datetime(2030, 1, 1, 21, tzinfo=timezone(timedelta(hours=9)))
    assert terms({"eta": tokyo}).eta_us == terms({"eta": datetime(2030, 1, 1, 12, tzinfo=UTC)}).eta_us


@pytest.mark.parametrize("name", ["eta", "expires"])
def test_a_naive_datetime_under_use_tz_is_refused_with_the_aware_form(name: str) -> None:
    naive = datetime(2030, 7, 1, 12)  # noqa: DTZ001  that is the point
    with pytest.raises(InvalidOption, match=r"naive.*make_aware.*2030-07-01T12:00:00\+02:00 \(Europe/Berlin\)"):
        terms({name: naive})


def test_a_naive_datetime_without_use_tz_is_the_projects_local_time() -> None:
    policy = Policy(time_zone="Europe/Berlin", use_tz=False)
    naive = datetime(2030, 7, 1, 12)  # noqa: DTZ001  that is the point
    assert terms({"eta": naive}, policy=policy).eta_us == terms({"eta": datetime(2030, 7, 1, 10, tzinfo=UTC)}).eta_us


def test_the_last_microsecond_of_9999_is_an_eta_and_the_next_hour_is_none() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert terms({"eta": last}).eta_us == LAST_US
    with pytest.raises(InvalidOption, match="past the year 9999"):
        terms({"eta": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"countdown": -1}, "countdown=-1"),
        ({"countdown": float("nan")}, "countdown=nan"),
        ({"countdown": float("inf")}, "countdown=inf"),
        ({"countdown": "5"}, "countdown='5'"),
        ({"countdown": True}, "countdown=True"),
        ({"countdown": 10**11}, "countdown=100000000000"),
        ({"expires": -3}, "expires=-3"),
        ({"eta": 5}, "it is a datetime, not int"),
        ({"countdown": 1, "eta": EPOCH}, "countdown and eta were both given"),
        ({"queue": "a b"}, "a queue's name is"),
        ({"queue": ""}, "a queue's name is"),
        ({"queue": "x" * 129}, "a queue's name is"),
        ({"priority": 101}, "a priority is"),
        ({"priority": 1.5}, "a priority is"),
        ({"task_id": "a/b"}, "a job's id is"),
        ({"task_id": ""}, "a job's id is"),
        ({"task_id": "x" * 65}, "a job's id is"),
        ({"task_id": 7}, "a job's id is"),
        ({"max_retries": -1}, "max_retries=-1"),
        ({"ignore_result": 1}, "True or False"),
        ({"on_commit": "no"}, "True or False"),
        ({"headers": [1]}, "a mapping"),
        ({"contdown": 3}, "no option 'contdown'. Did you mean countdown"),
        ({"zzz": 3}, "The options are: countdown, eta"),
        ({"expires": 0}, "would expire before"),
        ({"countdown": 10, "expires": 5}, "would expire before"),
        ({"eta": datetime(2030, 1, 2, tzinfo=UTC), "expires": datetime(2030, 1, 1, tzinfo=UTC)}, "would expire before"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        terms(given)
    assert told in str(caught.value)
    assert "Nothing was enqueued" in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_value_of_any_length_is_cut_in_the_error() -> None:
    with pytest.raises(InvalidOption) as caught:
        terms({"queue": "x" * 100_000})
    assert len(str(caught.value)) < 600
    assert str(caught.value).startswith("queue='xxx")


def test_a_tasks_own_expiry_does_not_forbid_a_later_start() -> None:
    assert terms({"countdown": 100}, expires=60.0).expires_after_us == 60_000_000


def test_an_id_may_be_a_uuid() -> None:
    assert terms({"task_id": UUID(int=1)}).job_id == "00000000-0000-0000-0000-000000000001"


def test_overrides_of_the_tasks_options_travel() -> None:
    assert terms({"max_retries": None, "ignore_result": True}).overrides == {"max_retries": None, "ignore_result": True}


def test_headers_are_plain_and_checked_with_their_path() -> None:
    assert terms({"headers": {"tenant": "a", "at": EPOCH.date()}}).headers == {
        "tenant": "a",
        "at": {"$": "date", "v": "1970-01-01"},
    }
    with pytest.raises(SerializationError, match=r"headers\.user is of type"):
        terms({"headers": {"user": object()}})


def test_a_name_that_looks_like_a_tag_stays_a_name() -> None:
    assert plain_mapping({"$": 1, "x": {"$": 2}}, "kwargs") == {"$": 1, "x": {"$": "dict", "v": {"$": 2}}}


def test_a_start_given_at_the_call_replaces_a_bound_one() -> None:
    assert merge({"countdown": 5, "queue": "a"}, {"eta": EPOCH}) == {"eta": EPOCH, "queue": "a"}
    assert merge({"eta": EPOCH}, {"countdown": 5}) == {"countdown": 5}
    assert merge({"eta": EPOCH}, {"eta": None, "queue": "b"}) == {"eta": None, "queue": "b"}


def test_an_id_cannot_be_bound_to_many_calls() -> None:
    with pytest.raises(InvalidOption, match="an id belongs to one call"):
        check_bindable({"task_id": "x"})
    check_bindable({"queue": "x"})


def test_limits_of_time_of_a_call_override_the_tasks() -> None:
    made = terms({"soft_time_limit": timedelta(seconds=2), "time_limit": 3}, time_limit=1.0)
    assert made.overrides == {"soft_time_limit": 2.0, "time_limit": 3.0}


def test_a_soft_limit_above_the_hard_one_is_refused_at_the_call() -> None:
    with pytest.raises(InvalidOption, match="Nothing was enqueued"):
        terms({"time_limit": 1}, soft_time_limit=5.0)
