"""An entry of SCHEDULES: what it may say, and what is told of what it may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_jobs import InvalidSchedule, crontab, every
from django_jobs.core.declaration import digest_of, read_declaration, read_schedule


def test_celerys_shape_is_read() -> None:
    found = read_declaration(
        "add",
        {"task": "shop.jobs.add", "schedule": 30.0, "args": (16, 16), "options": {"queue": "slow", "expires": 20}},
    )
    assert (found.name, found.task, found.schedule, found.args) == ("add", "shop.jobs.add", every(seconds=30), (16, 16))
    assert found.options() == {"queue": "slow", "expires": 20.0}


def test_every_key_is_read() -> None:
    found = read_declaration(
        "add",
        {
            "task": "shop.jobs.add",
            "schedule": "30 7 * * 1",
            "args": [1],
            "kwargs": {"right": 2},
            "time_zone": "Europe/Berlin",
            "queue": "slow",
            "priority": -5,
            "expires": timedelta(minutes=1),
        },
    )
    assert (found.schedule, found.kwargs, found.time_zone) == (crontab("30 7 * * 1"), {"right": 2}, "Europe/Berlin")
    assert found.options() == {"queue": "slow", "priority": -5, "expires": 60.0}


def test_what_is_not_given_is_the_tasks_own() -> None:
    found = read_declaration("add", {"task": "t", "schedule": 1, "args": None, "kwargs": None, "priority": None})
    assert (found.args, found.kwargs, found.options()) == ((), {}, {})


@pytest.mark.parametrize(
    ("value", "schedule"),
    [
        (crontab(hour=7), crontab(hour=7)),
        (every(hours=7), every(hours=7)),
        ("@hourly", crontab("0 * * * *")),
        (timedelta(hours=1), every(hours=1)),
        (5, every(seconds=5)),
    ],
)
def test_a_schedule_has_many_forms(value: Any, schedule: Any) -> None:
    assert read_schedule(value) == schedule


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (None, "it is a dict as"),
        ({"task": "t"}, "'schedule' is missing"),
        ({"schedule": 1}, "'task' is missing"),
        ({"task": "t", "schedule": 1, "relative": True}, "'relative' is no key"),
        ({"task": "t", "schedule": 1, "kwarg": {}}, "Did you mean 'kwargs'?"),
        ({"task": "t", "schedule": 1, 7: {}}, "7 is no key"),
        ({"task": 7, "schedule": 1}, "task: it is the name of a task"),
        ({"task": "t", "schedule": "61 * * * *"}, "schedule: .*minute is '61'"),
        ({"task": "t", "schedule": "* * * * * *"}, "six fields"),
        ({"task": "t", "schedule": "5"}, "no crontab line"),
        ({"task": "t", "schedule": 0.5}, "1 second at least"),
        ({"task": "t", "schedule": True}, "no interval"),
        ({"task": "t", "schedule": object()}, "is no schedule"),
        ({"task": "t", "schedule": 1, "args": "ab"}, "args: it is a list"),
        ({"task": "t", "schedule": 1, "kwargs": [1]}, "kwargs: it is a dict"),
        ({"task": "t", "schedule": 1, "kwargs": {1: 1}}, "kwargs: it is a dict"),
        ({"task": "t", "schedule": 1, "time_zone": "Mars"}, "no time zone 'Mars'"),
        ({"task": "t", "schedule": 1, "time_zone": 1}, "time_zone: it is the name"),
        ({"task": "t", "schedule": 1, "queue": "a b"}, "queue: a queue's name"),
        ({"task": "t", "schedule": 1, "priority": 101}, "priority: a priority is"),
        ({"task": "t", "schedule": 1, "expires": -1}, "expires: it is a duration"),
        ({"task": "t", "schedule": 1, "options": {"exchange": "x"}}, "options has 'exchange'; it may have"),
        ({"task": "t", "schedule": 1, "options": 5}, "options is a dict"),
        ({"task": "t", "schedule": 1, "queue": "a", "options": {"queue": "b"}}, "Keep one"),
    ],
)
def test_a_wrong_entry_is_told_with_its_key(entry: Any, told: str) -> None:
    with pytest.raises(InvalidSchedule, match=told):
        read_declaration("x", entry)


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", 7])
def test_a_wrong_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidSchedule, match="printable"):
        read_declaration(name, {"task": "t", "schedule": 1})


def test_a_digest_is_that_of_what_the_ticks_depend_on() -> None:
    lines = [crontab("0 7 13 * 5"), crontab("0 7 13 * 5", day_rule="and"), crontab("0 8 13 * 5")]
    digests = {digest_of(line, zone) for line in lines for zone in ("UTC", "Asia/Tokyo")}
    assert len(digests) == 6
    assert digest_of(every(seconds=5), "UTC") == digest_of(every(seconds=5), "Asia/Tokyo")
    assert digest_of(every(seconds=5), "UTC") != digest_of(every(seconds=6), "UTC")
