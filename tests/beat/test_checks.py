"""What `check` says about schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_jobs import checks, every, job
from django_jobs.registry import registry
from tests.beat.conftest import Site

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def own_schedule() -> Iterator[None]:
    job(name="tests.own", schedule=every(seconds=5))(lambda: None)
    yield
    registry.unregister("tests.own")


def ids(messages: list[Any]) -> list[str]:
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"task": "tests.tick", "schedule": "61 * * * *"}, "minute is '61'"),
        ({"task": "tests.gone", "schedule": 5}, "No task is registered as 'tests.gone'"),
        ({"task": "tests.tick", "schedule": 5, "kwargs": {"top": 1}}, "unexpected 'top'"),
        ({"task": "tests.tick", "schedule": 5, "args": [{1, 2}]}, "args[0] is of type builtins.set"),
    ],
)
def test_e008_names_a_bad_entry(site: Site, settings: Any, entry: Any, told: str) -> None:
    settings.DJANGO_JOBS = {"SCHEDULES": {"bad": entry, "good": {"task": "tests.tick", "schedule": 5}}}
    (found,) = checks.check_schedules(None)
    assert found.id == "django_jobs.E008"
    assert "DJANGO_JOBS['SCHEDULES']['bad'] cannot be used" in found.msg
    assert told in found.msg


def test_e009_names_what_is_declared_twice(site: Site, settings: Any, own_schedule: None) -> None:
    settings.DJANGO_JOBS = {"SCHEDULES": {"tests.own": {"task": "tests.own", "schedule": 5}}}
    (found,) = checks.check_schedules(None)
    assert (found.id, "'tests.own'" in found.msg) == ("django_jobs.E009", True)


def test_good_schedules_are_not_mentioned(site: Site, settings: Any, own_schedule: None) -> None:
    settings.DJANGO_JOBS = {"SCHEDULES": {"good": {"task": "tests.tick", "schedule": 5}}}
    assert checks.check_schedules(None) == []


def test_w005_names_the_rows_that_do_not_fire(site: Site) -> None:
    site.add("good")
    site.add("gone", task="tests.gone")
    site.add("broken", crontab="61 * * * *")
    site.add("marked", problem="It is sad.")
    site.add("left out", task="tests.gone", missing=True)
    site.add("switched off", task="tests.gone", paused=True)
    found = [message for message in checks.check_databases(None, [site.alias]) if message.id == "django_jobs.W005"]
    assert sorted(message.msg.split("'")[1] for message in found) == ["broken", "gone", "marked"]
