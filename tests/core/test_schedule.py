"""Intervals, and the rules that hold for every kind of schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from django_jobs import InvalidSchedule, crontab, every
from django_jobs.core.every import Every, every_seconds
from django_jobs.core.schedule import from_us, tick_after, tick_id, to_us

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "after", "expected"),
    [
        ({"seconds": 30}, "12:00:00", "12:00:30"),
        ({"seconds": 30}, "12:00:29.999999", "12:00:30"),
        ({"seconds": 7}, "12:00:00", "12:00:01"),  # 1704110401 is a multiple of 7
        ({"seconds": 1.5}, "12:00:00", "12:00:01.500000"),
        ({"minutes": 90}, "12:00:00", "13:30:00"),
        ({"hours": 6}, "12:00:00", "18:00:00"),
        ({"hours": 1, "minutes": 30}, "12:00:00", "13:30:00"),
    ],
)
def test_ticks_of_an_interval_are_its_multiples_since_1970(
    interval: dict[str, float], after: str, expected: str
) -> None:
    day = "2024-01-01T"
    found = every(**interval).next_after(datetime.fromisoformat(f"{day}{after}+00:00"))
    assert found == datetime.fromisoformat(f"{day}{expected}+00:00")
    assert to_us(found) % round(timedelta(**interval).total_seconds() * 1_000_000) == 0


def test_an_interval_does_not_follow_the_clocks_of_a_zone() -> None:
    at = every(days=1).next_after(NOON, "America/New_York")
    assert at == datetime(2024, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "0 s is not"),
        ({"seconds": 0.999}, "0.999 s is not"),
        ({"seconds": -5}, "-5 s is not"),
        ({"days": 40_000}, "36525 days at most"),
        ({"seconds": float("nan")}, "no interval"),
        ({"seconds": float("inf")}, "no interval"),
        ({"seconds": 10**30}, "no interval"),
        ({"seconds": "5"}, "no interval"),
    ],
)
def test_an_interval_that_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSchedule, match=told):
        every(**given)


def test_seconds_and_timedeltas_are_intervals() -> None:
    assert (
        every_seconds(30.0) == every_seconds(timedelta(seconds=30)) == every(seconds=30) == Every(timedelta(seconds=30))
    )
    for value in (True, "30", None):
        with pytest.raises(InvalidSchedule):
            every_seconds(value)


def test_an_interval_says_what_it_is() -> None:
    assert str(every(minutes=1.5)) == "every 90 s"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        every(seconds=1).next_after(datetime(2024, 1, 1))  # noqa: DTZ001  that is what is refused


def test_after_the_last_year_there_is_nothing() -> None:
    assert every(days=1).next_after(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("late_seconds", "following"),
    [
        (0, 1),
        (0.5, 1),
        (3, 1),  # three more are due, and fire one after the other
        (10, 1),
        (10.1, 1),  # the only one that is too late is this one
        (11.5, 2),
        (3600, 3590),
    ],
)
def test_ticks_more_than_ten_seconds_late_are_one(late_seconds: float, following: float) -> None:
    now = NOON + timedelta(seconds=late_seconds)
    assert tick_after(every(seconds=1), NOON, now, UTC) == NOON + timedelta(seconds=following)


def test_after_an_outage_a_daily_schedule_goes_on_at_its_time() -> None:
    """Celery's case 76: due since yesterday, it fires once, and next at its time."""
    daily = crontab(hour=7, minute=30)
    tick, now = datetime(2022, 12, 4, 7, 30, tzinfo=UTC), datetime(2022, 12, 5, 10, 30, tzinfo=UTC)
    assert tick_after(daily, tick, now, UTC) == datetime(2022, 12, 6, 7, 30, tzinfo=UTC)


def test_a_clock_that_was_put_back_does_not_bring_a_tick_back() -> None:
    assert tick_after(every(seconds=60), NOON, NOON - timedelta(minutes=10), UTC) == NOON + timedelta(minutes=1)


def test_the_id_of_a_tick_is_the_same_for_whoever_computes_it() -> None:
    assert tick_id("nightly", to_us(NOON)) == "b69153eb-0fd7-5d1f-9c3a-9b8f6d3e7dbc"
    assert UUID(tick_id("nightly", 0)).version == 5
    assert len({tick_id(name, tick) for name in ("a", "b", "1:a") for tick in (0, 1, 11)}) == 9


def test_instants_are_exact_to_the_microsecond() -> None:
    for instant_us in (0, 1, -1, 1_704_110_400_123_457, 253_402_300_799_999_999):
        assert to_us(from_us(instant_us)) == instant_us
