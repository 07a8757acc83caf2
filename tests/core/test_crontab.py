"""Crontab lines: what is read, what is refused, and the instants that they name, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from django_jobs import InvalidSchedule, crontab
from django_jobs.core.crontab import NAMED, Crontab
from django_jobs.core.schedule import Schedule
from tests.core.walker import Line, changes, walk

ZONES = {
    "Europe/Berlin": 2026,
    "America/New_York": 2026,
    "Australia/Lord_Howe": 2026,  # by half an hour
    "Africa/Casablanca": 2026,  # back for Ramadan
    "Antarctica/Troll": 2026,  # by two hours
    "Pacific/Apia": 2011,  # 30 December did not happen
    "Asia/Tehran": 2022,  # at midnight, for the last time
    "UTC": 2026,  # never
}
LINES = (
    "* * * * *",
    "*/10 * * * *",
    "*/20 2 * * *",
    "30 * * * *",
    "0 */2 * * *",
    "30 2 * * *",
    "0,30 2,3 * * *",
    "15 1 * * *",
    "5-55/25 0-3 * * *",
    "0 0 * * *",
    "59 23 30 * 0",
    "0 12 * * 0-3,6",
)
BEFORE, AFTER = timedelta(hours=14), timedelta(hours=30)
CHANGES = [
    pytest.param(zone, change, id=f"{zone} {change:%d %b %Y}")
    for zone, year in ZONES.items()
    for change in changes(ZoneInfo(zone), year) or [datetime(year, 3, 29, tzinfo=UTC)]
]


def ticks(schedule: Schedule, zone: str, start: datetime, end: datetime) -> list[datetime]:
    found = []
    at = schedule.next_after(start, zone)
    while at is not None and at <= end:
        found.append(at)
        at = schedule.next_after(at, zone)
    return found


def first(schedule: Schedule, after: str, zone: str = "UTC") -> str:
    """Return the next tick as local time, from a local time."""
    tz = ZoneInfo(zone)
    at = schedule.next_after(datetime.fromisoformat(after).replace(tzinfo=tz), zone)
    assert at is not None
    return at.astimezone(tz).isoformat(" ", "minutes")[: len("2024-01-01 00:00")]


def test_the_zones_change_their_clocks_as_the_table_means_it() -> None:
    assert [len(changes(ZoneInfo(zone), year)) for zone, year in ZONES.items()] == [2, 2, 2, 2, 2, 3, 2, 0]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_ticks_around_a_change_of_the_clocks_are_those_of_a_minute_walker(
    zone: str, change: datetime, line: str
) -> None:
    start, end = change - BEFORE, change + AFTER

    expected = walk(Line(line), ZoneInfo(zone), start, end)

    assert ticks(Crontab(line), zone, start, end) == expected
    if line != "59 23 30 * 0":
        assert expected


WHOLE_HOURS = [change for change in CHANGES if change.values[0] != "Australia/Lord_Howe"]
"""cronsim takes each change of the clocks for one of whole hours."""


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("* ")])
@pytest.mark.parametrize(("zone", "change"), WHOLE_HOURS)
def test_ticks_are_those_of_cronsim(zone: str, change: datetime, line: str) -> None:
    start, end = change - BEFORE, change + AFTER
    simulated = []
    for at in CronSim(line, start.astimezone(ZoneInfo(zone))):
        if at.astimezone(UTC) > end:
            break
        simulated.append(at.astimezone(UTC))

    assert ticks(Crontab(line), zone, start, end) == simulated


@pytest.mark.parametrize("offset", range(0, 180, 7))
def test_the_next_tick_does_not_depend_on_where_one_asks(offset: int) -> None:
    """From any instant within the repeated hour, and the hours around it."""
    zone = "America/New_York"
    start = datetime(2024, 11, 3, 4, 30, 12, 345678, tzinfo=UTC) + timedelta(minutes=offset)
    for line in LINES:
        expected = walk(Line(line), ZoneInfo(zone), datetime(2024, 11, 3, tzinfo=UTC), start + timedelta(days=1))
        later = next((at for at in expected if at > start), None)
        found = Crontab(line).next_after(start, zone)
        assert later is None or found == later, line


# -- Celery's cases 64 to 75 (the string form follows Debian's cron, the keyword form Celery) -----------------------


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("0 0 31 * *", "2024-01-31 00:00", "2024-03-31 00:00"),
        ("0 12 30 * *", "2024-01-31 00:00", "2024-03-30 12:00"),
        ("0 0 29 2 *", "2023-03-01 00:00", "2024-02-29 00:00"),
        ("0 12 29 2 *", "2024-02-29 12:00", "2028-02-29 12:00"),
        ("0 12 29 2 *", "2096-02-29 12:00", "2104-02-29 12:00"),
        ("* * * * *", "2024-12-31 23:59", "2025-01-01 00:00"),
        ("*/7 * * * *", "2024-01-01 10:56", "2024-01-01 11:00"),
        ("*/40 * * * *", "2024-01-01 10:56", "2024-01-01 11:00"),
        ("*/15 * * * *", "2024-01-01 10:07", "2024-01-01 10:15"),
        ("0 9-17 * * mon-fri", "2024-01-05 17:00", "2024-01-08 09:00"),
        ("0 22-2 * * *", "2024-01-05 09:30", "2024-01-05 22:00"),
        ("0 22-2 * * *", "2024-01-05 23:00", "2024-01-06 00:00"),
        ("0 0 1 */3 *", "2024-10-01 00:00", "2025-01-01 00:00"),
        ("30 4 28-31 feb *", "2024-03-31 00:00", "2025-02-28 04:30"),
        ("0 0 * * sat-mon", "2024-01-01 00:00", "2024-01-06 00:00"),
        ("0 0 * * 7", "2024-01-01 00:00", "2024-01-07 00:00"),
        ("0 0 * * 5-7", "2024-01-07 00:00", "2024-01-12 00:00"),
        ("0 0 * * 0-7", "2024-01-07 00:00", "2024-01-08 00:00"),
        ("0 0 28-2 * *", "2024-01-02 00:00", "2024-01-28 00:00"),
        ("0 0 * nov-feb *", "2024-02-29 00:00", "2024-11-01 00:00"),
        # Debian: either day field will do, unless one begins with a star
        ("0 12 13 * fri", "2024-01-01 12:00", "2024-01-05 12:00"),
        ("0 0 */10 * 1", "2026-01-01 00:00", "2026-05-11 00:00"),
        ("0 0 13 * */2", "2024-01-01 00:00", "2024-01-13 00:00"),
        # the last day, the third Friday, the last Friday, and all of them with others
        ("0 0 L * *", "2024-02-01 00:00", "2024-02-29 00:00"),
        ("0 0 15,L * *", "2023-02-15 00:00", "2023-02-28 00:00"),
        ("0 0 * * fri#3", "2026-01-01 00:00", "2026-01-16 00:00"),
        ("0 0 * * 5L", "2026-01-01 00:00", "2026-01-30 00:00"),
        ("0 0 * * L5", "2026-01-01 00:00", "2026-01-30 00:00"),
        ("0 0 * * friL", "2026-01-01 00:00", "2026-01-30 00:00"),
        ("0 0 13 * L5", "2026-01-13 00:00", "2026-01-30 00:00"),
        ("0 0 * * 1,5#3", "2026-01-15 00:00", "2026-01-16 00:00"),
        ("0 0 * * 5#5,1L", "2026-01-01 00:00", "2026-01-26 00:00"),
        ("@daily", "2024-01-01 00:00", "2024-01-02 00:00"),
        ("@Weekly", "2024-01-01 00:00", "2024-01-07 00:00"),
        ("  5   4  *  *   * ", "2024-01-01 00:00", "2024-01-01 04:05"),
        ("0 0 * JAN Sunday", "2024-01-07 00:00", "2024-01-14 00:00"),
    ],
)
def test_a_line_names_its_next_time(line: str, after: str, expected: str) -> None:
    assert first(crontab(line), after) == expected


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        ({"hour": 7, "minute": 30}, "2024-01-01 08:00", "2024-01-02 07:30"),
        ({}, "2024-01-01 08:00", "2024-01-01 08:01"),
        ({"minute": 0, "hour": 12, "day_of_month": 13, "day_of_week": "fri"}, "2024-01-01 12:00", "2024-09-13 12:00"),
        ({"minute": [45, 15], "hour": {9, 7}}, "2024-01-01 07:15", "2024-01-01 07:45"),
        ({"minute": range(0, 60, 20)}, "2024-01-01 07:15", "2024-01-01 07:20"),
        ({"minute": 0, "hour": 0, "day_of_week": ["mon", "wed"]}, "2024-01-01 00:00", "2024-01-03 00:00"),
        (
            {"minute": 0, "hour": 0, "day_of_month": "L", "day_of_week": "mon-fri"},
            "2026-01-01 00:00",
            "2026-03-31 00:00",
        ),
        ({"minute": "0", "hour": "*/3,8-17"}, "2024-01-01 06:00", "2024-01-01 08:00"),
    ],
)
def test_the_keyword_form_is_celerys(fields: dict[str, Any], after: str, expected: str) -> None:
    assert first(crontab(**fields), after) == expected


def test_celerys_order_of_positions_is_kept() -> None:
    assert crontab(30, 7, "mon", "1-7", 2) == crontab(
        minute=30, hour=7, day_of_week="mon", day_of_month="1-7", month_of_year=2
    )


@pytest.mark.parametrize(
    ("zone", "line", "after", "expected"),
    [
        ("America/New_York", "30 2 * * *", "2024-03-09T02:30-05:00", ["2024-03-10T07:00Z", "2024-03-11T06:30Z"]),
        ("America/New_York", "0 9 * * *", "2024-03-09T09:00-05:00", ["2024-03-10T13:00Z"]),
        ("Europe/Paris", "15 2 * * *", "2024-03-30T02:15+01:00", ["2024-03-31T01:00Z"]),
        ("America/New_York", "30 1 * * *", "2024-11-02T12:00-04:00", ["2024-11-03T05:30Z", "2024-11-04T06:30Z"]),
        ("America/New_York", "0 9 * * *", "2024-11-02T09:00-04:00", ["2024-11-03T14:00Z"]),
        ("Asia/Kolkata", "0 9 * * *", "2024-01-01T00:00Z", ["2024-01-01T03:30Z"]),
        ("Asia/Kathmandu", "0 9 * * *", "2024-01-01T00:00Z", ["2024-01-01T03:15Z"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2024-04-06T12:00+11:00", ["2024-04-06T14:45Z"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2024-10-05T12:00+10:30", ["2024-10-05T15:30Z"]),
        ("Pacific/Apia", "0 7 * * *", "2011-12-29T12:00-10:00", ["2011-12-30T10:00Z", "2011-12-30T17:00Z"]),
    ],
)
def test_fixed_times_over_changes_of_the_clocks(zone: str, line: str, after: str, expected: list[str]) -> None:
    schedule, at = crontab(line), datetime.fromisoformat(after)
    found = []
    for _ in expected:
        following = schedule.next_after(at, zone)
        assert following is not None
        at = following
        found.append(at.strftime("%Y-%m-%dT%H:%MZ"))
    assert found == expected


@pytest.mark.parametrize(
    ("day", "hours", "count"),
    [
        (datetime(2024, 11, 3, 4, tzinfo=UTC), 5, 30),  # 00:00 to 04:00, of which 01:xx twice
        (datetime(2024, 3, 10, 5, tzinfo=UTC), 4, 24),  # 00:00 to 05:00 without 02:xx
    ],
)
def test_each_ten_minutes_goes_on_by_real_time(day: datetime, hours: int, count: int) -> None:
    just_before = day - timedelta(seconds=1)
    end = day + timedelta(hours=hours) - timedelta(seconds=1)
    assert len(ticks(crontab("*/10 * * * *"), "America/New_York", just_before, end)) == count


def test_a_tick_asked_for_between_the_passes_is_soon() -> None:
    """Celery loops without a pause here."""
    second_pass = datetime(2024, 11, 3, 1, 5, tzinfo=ZoneInfo("America/New_York"), fold=1)
    at = crontab("*/10 * * * *").next_after(second_pass)
    assert at == datetime(2024, 11, 3, 6, 10, tzinfo=UTC)


# -- seconds -------------------------------------------------------------------------------------------------------


def test_six_fields_begin_with_seconds_and_are_asked_for() -> None:
    schedule = crontab("*/20 30 7 * * *", with_seconds=True)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    found = ticks(schedule, "UTC", start, start + timedelta(days=1))
    assert [at.strftime("%H:%M:%S") for at in found] == ["07:30:00", "07:30:20", "07:30:40"]
    assert crontab(second=[5], minute=30, hour=7).next_after(start) == start.replace(hour=7, minute=30, second=5)
    with pytest.raises(InvalidSchedule, match=r"six fields.*with_seconds=True"):
        crontab("0 30 7 * * *")
    with pytest.raises(InvalidSchedule, match="five fields"):
        crontab("30 7 * * *", with_seconds=True)


def test_fractions_of_a_second_do_not_matter() -> None:
    start = datetime(2024, 1, 1, 7, 29, 59, 999_999, tzinfo=UTC)
    assert crontab("30 7 * * *").next_after(start) == datetime(2024, 1, 1, 7, 30, tzinfo=UTC)
    later = datetime(2024, 1, 1, 7, 30, 0, 1, tzinfo=UTC)
    assert crontab("30 7 * * *").next_after(later) == datetime(2024, 1, 2, 7, 30, tzinfo=UTC)


# -- the time zone -------------------------------------------------------------------------------------------------


def test_without_a_time_zone_the_instants_own_is_read() -> None:
    berlin = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert crontab("0 13 * * *").next_after(berlin) == datetime(2024, 7, 1, 11, tzinfo=UTC)
    assert crontab("0 13 * * *").next_after(berlin, UTC) == datetime(2024, 7, 1, 13, tzinfo=UTC)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        crontab("* * * * *").next_after(datetime(2024, 1, 1))  # noqa: DTZ001  that is what is refused


def test_an_unknown_time_zone_is_refused() -> None:
    for name in ("Europe/Atlantis", "../etc/passwd", "", "a" * 5000):
        with pytest.raises(InvalidSchedule, match="no time zone"):
            crontab("* * * * *").next_after(datetime(2024, 1, 1, tzinfo=UTC), name)


def test_after_the_last_year_there_is_nothing() -> None:
    assert crontab("0 0 1 1 *").next_after(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert crontab("0 0 1 1 *").next_after(datetime(9999, 12, 31, tzinfo=UTC), "Pacific/Kiritimati") is None


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("61 * * * *", "minute is '61': 61 is out of range: 0 to 59"),
        ("60 * * * *", "out of range"),
        ("* 24 * * *", "hour is '24'"),
        ("* * 0 * *", "day of month is '0'"),
        ("* * 32 * *", "out of range: 1 to 31"),
        ("* * * 13 *", "month is '13'"),
        ("* * * foo *", "'foo' is no name: jan to dec"),
        ("* * * * foo", "'foo' is no name: sun to sat"),
        ("* * * * 8", "day of week is '8'"),
        ("0-100 * * * *", "100 is out of range"),
        ("*/61 * * * *", "a step is 1 to 60"),
        ("*/0 * * * *", "a step is 1 to 60"),
        ("5/15 * * * *", "a step needs a range: 5-59/15"),
        ("*-5 * * * *", "a range goes from value to value"),
        ("1,,2 * * * *", "an item of a list is empty"),
        ("-5 * * * *", "it is made of"),
        ("0 0 15W * *", "W .* is not known here"),
        ("0 0 ? * 1", "is Quartz's"),
        ("0 0 L-3 * *", "out of range|is made of"),
        ("0 0 * * L", "is no name"),
        ("0 0 * * 5#6", "#1 to #5"),
        ("0 0 * * 5#0", "#1 to #5"),
        ("0 0 * * 9#1", "out of range"),
        ("0 0 31 2 *", "would never run: no month has day 31"),
        ("* * 30 2 *", "would never run"),
        ("* * 31 4,6,9,11 *", "would never run"),
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("@reboot", "these are: @yearly"),
        ("@every 5m", "these are: @yearly|is no name"),
        ("٣ * * * *", "not ASCII"),
        ("0 0 1-1_0 * *", "is made of"),
        ("99999999999999999999999 * * * *", "out of range"),
        (f"{','.join(['1'] * 10_000)} * * * *", "500 are the most"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_value(line: str, told: str) -> None:
    with pytest.raises(InvalidSchedule, match=told):
        crontab(line)


def test_both_day_fields_must_fit_somewhere() -> None:
    with pytest.raises(InvalidSchedule, match="would never run"):
        crontab(minute=0, hour=0, day_of_month="1-7", day_of_week="mon#2")
    assert first(crontab(minute=0, hour=0, day_of_month="1-7", day_of_week="mon#1"), "2026-01-01 00:00") == (
        "2026-01-05 00:00"
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"minute": ""}, "minute='' is empty"),
        ({"minute": []}, "minute='' is empty"),
        ({"minute": None}, "no field of a crontab"),
        ({"minute": True}, "no field of a crontab"),
        ({"hour": 1.5}, "no field of a crontab"),
        ({"hour": b"1"}, "no field of a crontab"),
        ({"hour": [1, None]}, "holds None"),
        ({"hour": "1, 2"}, "it has a space"),
        ({"month_of_year": 13}, "out of range"),
        ({"second": 60}, "second is '60'"),
        ({"day_rule": "xor"}, 'it is "or" or "and"'),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSchedule, match=told):
        crontab(**fields)


def test_a_line_with_fields_beside_it_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="Give one"):
        crontab("0 0 * * *", 5)


def test_a_line_is_text() -> None:
    with pytest.raises(InvalidSchedule, match="line of text"):
        Crontab(5)  # type: ignore[arg-type]  # what a caller without a type checker does


# -- what it says of itself ----------------------------------------------------------------------------------------


def test_lines_are_kept_as_they_were_meant() -> None:
    assert crontab(" 0  7 * * Mon-FRI ").line == "0 7 * * mon-fri"
    assert [crontab(name).line for name in NAMED] == list(NAMED.values())
    assert str(crontab(hour=7, minute=30)) == "30 7 * * *"
    assert str(crontab(day_of_month=13, day_of_week=5)) == "* * 13 * 5 (both day fields)"
    assert crontab("0 7 * * *") == Crontab("0 7 * * *")
    assert hash(crontab("0 7 * * *")) == hash(Crontab("0 7 * * *"))
    assert crontab("0 7 13 * 5") != crontab("0 7 13 * 5", day_rule="and")
