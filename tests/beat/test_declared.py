"""Schedules of code and settings: rows that follow them, and what a person did to those rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_jobs import InvalidOptions, crontab, every, job
from django_jobs.apps import sync_schedules
from django_jobs.client.task import Task
from django_jobs.conf import InvalidSettings, load_policy
from django_jobs.connections import connections
from django_jobs.core.schedule import Schedule
from django_jobs.models import PeriodicSchedule
from django_jobs.registry import registry
from tests.beat.conftest import Site

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
Declare = Callable[..., Task[..., Any]]


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Give `@job(schedule=...)` as a function whose task is forgotten after the test, or when it is declared anew."""
    names: set[str] = set()

    def make(name: str, schedule: Schedule | None, function: Callable[..., Any] = lambda: None) -> Task[..., Any]:
        registry.unregister(name)
        names.add(name)
        task: Task[..., Any] = job(name=name, schedule=schedule)(function)
        return task

    yield make
    for name in names:
        registry.unregister(name)


def configure(site: Site, settings: Any, **schedules: Any) -> None:
    settings.DJANGO_JOBS = {"DATABASE": site.alias, "SCHEDULES": schedules}


def row(site: Site, name: str) -> PeriodicSchedule:
    return site.rows.get(name=name)


def test_a_tasks_schedule_becomes_a_row_under_the_tasks_name(site: Site, declare: Declare) -> None:
    declare("tests.nightly", crontab(hour=3, minute=0, day_of_week=1, day_of_month="1-7"))
    sync_schedules()
    sync_schedules()
    found = row(site, "tests.nightly")
    assert (found.task, found.source, found.crontab, found.day_rule) == ("tests.nightly", "code", "0 3 1-7 * 1", "and")
    assert (found.args, found.kwargs, found.interval_seconds, found.paused) == ("[]", "{}", None, False)
    assert found.schedule() == crontab(hour=3, minute=0, day_of_week=1, day_of_month="1-7")


def test_an_entry_of_the_setting_becomes_a_row(site: Site, settings: Any) -> None:
    entry = {"task": "tests.tick", "schedule": 30.0, "args": (16, 16), "options": {"queue": "slow", "expires": 20}}
    configure(site, settings, add={**entry, "kwargs": {"left": 2}, "time_zone": "Asia/Tokyo", "priority": 5})
    sync_schedules()
    found = row(site, "add")
    assert (found.source, found.interval_seconds, found.args, found.kwargs) == (
        "settings",
        30.0,
        "[16,16]",
        '{"left":2}',
    )
    assert (found.queue, found.expires_seconds, found.time_zone, found.priority) == ("slow", 20.0, "Asia/Tokyo", 5)


def test_a_changed_rule_counts_from_now_and_other_changes_keep_the_tick(site: Site, declare: Declare) -> None:
    declare("tests.n", every(seconds=60))
    sync_schedules()
    beat = site.beat()
    site.settle(beat)
    planned = row(site, "tests.n").next_run_us
    sync_schedules()
    assert row(site, "tests.n").next_run_us == planned is not None

    declare("tests.n", every(seconds=90))
    sync_schedules()
    assert (row(site, "tests.n").next_run_us, row(site, "tests.n").interval_seconds) == (None, 90.0)


def test_changed_arguments_keep_the_tick(site: Site, settings: Any) -> None:
    configure(site, settings, add={"task": "tests.tick", "schedule": 60, "args": [1]})
    sync_schedules()
    site.settle(site.beat())
    planned = row(site, "add").next_run_us
    configure(site, settings, add={"task": "tests.tick", "schedule": 60, "args": [2]})
    sync_schedules()
    assert (row(site, "add").args, row(site, "add").next_run_us) == ("[2]", planned)


def test_a_pause_lasts(site: Site, declare: Declare) -> None:
    declare("tests.n", every(seconds=60))
    sync_schedules()
    site.rows.pause()
    declare("tests.n", every(seconds=90))
    sync_schedules()
    site.settle(site.beat())
    assert (row(site, "tests.n").paused, row(site, "tests.n").next_run_us) == (True, None)


def test_what_is_no_longer_declared_is_marked_and_comes_back(site: Site, declare: Declare, settings: Any) -> None:
    declare("tests.n", every(seconds=60))
    configure(site, settings, add={"task": "tests.tick", "schedule": 60})
    site.add("by hand")
    sync_schedules()
    site.settle(site.beat())

    declare("tests.n", None)
    configure(site, settings)
    sync_schedules()
    assert {found.name: (found.missing, found.next_run_us is None) for found in site.rows.all()} == {
        "tests.n": (True, True),
        "add": (True, True),
        "by hand": (False, False),
    }

    declare("tests.n", every(seconds=60))
    sync_schedules()
    assert not row(site, "tests.n").missing


def test_an_edit_of_what_the_code_declares_does_not_last(site: Site, declare: Declare) -> None:
    declare("tests.n", every(seconds=60))
    sync_schedules()
    site.rows.update(interval_seconds=None, crontab="0 0 * * *", queue="other")
    sync_schedules()
    assert (row(site, "tests.n").interval_seconds, row(site, "tests.n").crontab, row(site, "tests.n").queue) == (
        60.0,
        "",
        "",
    )


def test_a_row_of_a_person_is_taken_over_with_its_pause(
    site: Site, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("add", paused=True)
    configure(site, settings, add={"task": "tests.tick", "schedule": 5})
    with caplog.at_level(logging.WARNING, "django_jobs"):
        sync_schedules()
    found = row(site, "add")
    assert (found.source, found.interval_seconds, found.paused) == ("settings", 5.0, True)
    assert "The schedule add was declared elsewhere before" in caplog.text


def test_the_setting_goes_before_the_code(site: Site, declare: Declare, settings: Any) -> None:
    declare("tests.n", every(seconds=60))
    configure(site, settings, **{"tests.n": {"task": "tests.n", "schedule": 5}})
    for _ in range(2):
        sync_schedules()
        assert (row(site, "tests.n").source, row(site, "tests.n").interval_seconds) == ("settings", 5.0)
    configure(site, settings)
    sync_schedules()
    assert (row(site, "tests.n").source, row(site, "tests.n").missing) == ("code", False)


def test_a_bad_entry_stops_itself_only(site: Site, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = {"task": "tests.tick", "schedule": 5}
    configure(site, settings, add=good, good=good)
    sync_schedules()
    configure(site, settings, add={"task": "tests.tick", "schedule": "61 * * * *"}, good=good)
    with caplog.at_level(logging.ERROR, "django_jobs"):
        sync_schedules()
    assert "minute is '61'" in row(site, "add").problem
    assert "DJANGO_JOBS['SCHEDULES']['add'] cannot be used" in caplog.text
    assert row(site, "good").problem == ""

    configure(site, settings, add=good, good=good)
    sync_schedules()
    site.settle(site.beat())
    assert (row(site, "add").problem, row(site, "add").next_run_us is None) == ("", False)


def test_arguments_that_cannot_be_carried_make_a_broken_row(site: Site, settings: Any) -> None:
    configure(site, settings, add={"task": "tests.tick", "schedule": 5, "args": [object()]})
    sync_schedules()
    assert "args[0] is of type builtins.object" in row(site, "add").problem


def test_hostile_text_is_stored_as_text(site: Site, settings: Any) -> None:
    hostile = "</script><img src=x onerror=alert(1)> {{ settings }} ' OR 1=1 --"
    configure(site, settings, **{hostile: {"task": hostile, "schedule": 5, "args": [hostile]}})
    sync_schedules()
    assert row(site, hostile).declaration().args == (hostile,)


def test_a_schedule_of_a_task_that_needs_arguments_is_refused(site: Site, declare: Declare) -> None:
    with pytest.raises(InvalidOptions, match=r"tests\.n\(customer\) has a schedule.*SCHEDULES"):
        declare("tests.n", every(seconds=60), lambda customer: None)


@pytest.mark.parametrize("value", ["* * * * *", 30, object()])
def test_a_tasks_schedule_is_a_schedule(site: Site, declare: Declare, value: Any) -> None:
    with pytest.raises(InvalidOptions, match=r"schedule=.*crontab"):
        declare("tests.n", value)


def test_no_schedule_is_for_all_tasks(site: Site, settings: Any) -> None:
    settings.DJANGO_JOBS = {"TASK_DEFAULTS": {"schedule": every(seconds=5)}}
    with pytest.raises(InvalidSettings, match="belongs to one function"):
        load_policy()


def test_schedules_that_are_no_dict_are_wrong_settings(site: Site, settings: Any) -> None:
    settings.DJANGO_JOBS = {"SCHEDULES": [1]}
    with pytest.raises(InvalidSettings, match="name of a schedule"):
        load_policy()
    settings.DJANGO_JOBS = {"SCHEDULES": {"a": 1, "b": {"task": "t", "schedule": 1}}}
    assert set(connections.policy.schedules) == {"b"}
    assert set(connections.policy.broken_schedules) == {"a"}
