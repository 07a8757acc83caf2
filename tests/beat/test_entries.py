"""Rows that people pause, edit and break, as a beat takes them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from django_jobs.core.schedule import from_us, tick_id, to_us
from django_jobs.registry import registry
from tests.beat.conftest import Site
from tests.beat.times import NOON, minute


def test_a_paused_schedule_fires_nothing_and_makes_up_for_nothing(site: Site) -> None:
    """Celery's case 77: off for 26 hours, it is not due when it is on again."""
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    assert (site.rows.pause(), site.rows.pause()) == (1, 0)
    site.advance(26 * 3600)
    site.settle(beat)
    assert site.jobs() == []

    assert (site.rows.resume(), site.rows.resume()) == (1, 0)
    site.settle(beat)
    assert site.jobs() == []
    assert site.rows.get().next_run_us == site.now_us + 60_000_000


def test_a_pause_by_whatever_means_makes_up_for_nothing(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.rows.update(paused=True)
    site.advance(3600)
    site.settle(beat)
    site.rows.update(paused=False)
    site.settle(beat)
    assert site.jobs() == []


def test_a_pause_between_look_and_fire_holds(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.advance(60)
    entry = beat._entries.entry(site.rows.get(), site.now_us)
    assert entry is not None
    site.rows.pause()
    assert beat._entries.move(entry, "a-job") is False
    assert site.rows.get().next_run_us is None


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_another_time_zone_counts_from_now(site: Site, hour: int) -> None:
    site.add("d", crontab="30 7 * * *")
    site.now_us = to_us(NOON.replace(hour=hour))
    beat = site.beat()
    site.settle(beat)

    site.rows.update(time_zone="Asia/Tokyo")
    site.rows.replan()
    site.settle(beat)

    assert site.jobs() == []
    planned = site.rows.get().next_run_at
    assert planned is not None
    assert from_us(site.now_us) < planned <= from_us(site.now_us) + timedelta(days=1)
    assert (planned.hour, planned.minute) == (22, 30)


def test_a_rule_that_was_changed_without_a_word_does_not_fire_at_the_old_tick(site: Site) -> None:
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    site.rows.update(interval_seconds=3600.0)
    site.advance(60)
    site.settle(beat)
    assert site.jobs() == []
    assert site.rows.get().next_run_at == NOON + timedelta(hours=1)


def test_a_plan_for_a_rule_that_is_being_edited_is_not_kept(site: Site) -> None:
    site.add("m")
    entries = site.beat()._entries
    row = site.rows.get()
    site.rows.update(interval_seconds=3600.0)
    entries.plan(row, site.now_us)
    assert site.rows.get().next_run_us is None


# -- broken ones ----------------------------------------------------------------------------------------------------


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "the task is gone": ({"task": "tests.gone"}, "No task is registered as 'tests.gone'"),
    "arguments do not fit": ({"kwargs": '{"top": 1}'}, "unexpected 'top'"),
    "arguments are no JSON": ({"args": "[1"}, "no JSON"),
    "arguments are no list": ({"args": "{}"}, "JSON list"),
    "a queue that cannot be": ({"queue": "a b"}, "queue"),
    "no such zone": ({"crontab": "* * * * *", "time_zone": "Mars/Base"}, "no time zone"),
    "no such minute": ({"crontab": "61 * * * *"}, "minute is '61'"),
    "two rules": ({"crontab": "* * * * *", "interval_seconds": 5.0}, "either a crontab or an interval"),
    "half a second": ({"interval_seconds": 0.5}, "1 second at least"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_schedule_is_marked_and_told_of_once_and_others_go_on(
    site: Site, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    fields, why = BROKEN[case]
    site.add("bad", **fields)
    site.add("good")
    beat = site.beat()
    with caplog.at_level(logging.ERROR, "django_jobs.beat"):
        for _ in range(6):
            site.settle(beat)
            site.advance(15)
        site.settle(site.beat())

    assert why in site.rows.get(name="bad").problem
    assert site.rows.get(name="bad").next_run_us is None
    assert [job.id for job in site.jobs()] == [tick_id("good", to_us(minute(1)))]
    assert len(caplog.records) <= 1
    assert all("The schedule bad is broken" in record.getMessage() for record in caplog.records)


def test_a_beat_that_does_not_know_the_task_leaves_it_to_others_for_ten_seconds(site: Site) -> None:
    """As while a deploy goes on: beats with newer code are there, too."""
    site.add("m")
    beat = site.beat()
    site.settle(beat)
    spec = registry.require("tests.tick")
    registry.unregister("tests.tick")
    site.advance(69)
    assert site.settle(beat) == 0.2
    assert site.rows.get().problem == ""

    registry.register(spec)
    site.settle(beat)

    assert len(site.jobs()) == 1


def test_a_broken_schedule_fires_again_once_its_task_is_there(site: Site) -> None:
    site.add("m", problem="No task is registered as 'tests.tick'.")
    beat = site.beat()
    site.settle(beat)
    assert (site.rows.get().problem, site.rows.get().next_run_at) == ("", minute(1))


def test_a_missing_schedule_does_not_fire(site: Site) -> None:
    site.add("m", missing=True)
    beat = site.beat()
    for _ in range(3):
        site.settle(beat)
        site.advance(60)
    assert (site.jobs(), site.rows.get().next_run_us) == ([], None)
