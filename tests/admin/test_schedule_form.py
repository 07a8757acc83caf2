"""The form of a schedule takes what can fire, refuses the rest with the reason, and shows the next runs of either."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_jobs.admin.nextruns import next_runs
from django_jobs.models import PeriodicSchedule, TaskDefinition
from tests.admin.conftest import get, make_schedule

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
ADD = "admin:django_jobs_periodicschedule_add"


def form(**changed: str) -> dict[str, str]:
    values = {
        "name": "weekly", "task": "admin_tests.ship", "args": "[1]", "kwargs": "", "crontab": "30 7 * * 1",
        "day_rule": "or", "interval_seconds_0": "", "interval_seconds_1": "minutes", "time_zone": "", "queue": "",
        "priority": "", "expires_seconds": "",
    }  # fmt: skip
    return {**values, **changed}


def change(row: PeriodicSchedule) -> str:
    return reverse("admin:django_jobs_periodicschedule_change", args=[row.pk])


def errors_of(html: str) -> str:
    return " ".join(re.findall(r'<ul class="errorlist.*?</ul>', html, re.DOTALL))


# -- saving ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_schedule_is_added(admin_client: Client, tasks: dict[str, TaskDefinition]) -> None:
    given = form(
        args='[{"$":"date", "v":"2030-01-31"}]', kwargs='{"weight":  1.5}', time_zone="Europe/Berlin", queue="night",
        priority="-5", expires_seconds="60", crontab="@daily",
    )  # fmt: skip
    assert admin_client.post(reverse(ADD), given).status_code == 302
    row = PeriodicSchedule.objects.get()
    assert (row.name, row.task, row.source, row.paused, row.next_run_us) == (
        "weekly",
        "admin_tests.ship",
        "admin",
        False,
        None,
    )
    assert (row.args, row.kwargs) == ('[{"$":"date","v":"2030-01-31"}]', '{"weight":1.5}')
    assert (row.crontab, row.interval_seconds, row.time_zone) == ("0 0 * * *", None, "Europe/Berlin")
    assert (row.queue, row.priority, row.expires_seconds) == ("night", -5, 60.0)
    assert LogEntry.objects.get().is_addition()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("number", "unit", "seconds"), [("30", "seconds", 30), ("1.5", "hours", 5400), ("2", "days", 172_800)]
)
def test_an_interval_is_a_number_and_a_unit(
    admin_client: Client, tasks: dict[str, TaskDefinition], number: str, unit: str, seconds: float
) -> None:
    given = form(crontab="", interval_seconds_0=number, interval_seconds_1=unit)
    assert admin_client.post(reverse(ADD), given).status_code == 302
    row = PeriodicSchedule.objects.get()
    assert (row.crontab, row.interval_seconds) == ("", seconds)
    assert re.search(
        rf'name="interval_seconds_0" value="{seconds // {"seconds": 1, "hours": 60, "days": 86400}[unit]:g}"',
        get(admin_client, change(row)),
    )


BAD = [
    ({"crontab": "61 * * * *"}, "61 is out of range: 0 to 59"),
    ({"crontab": "0 0 31 2 *"}, "would never run"),
    ({"crontab": "* * * *"}, "has 4 fields"),
    ({"crontab": ""}, "Give a crontab or an interval."),
    ({"crontab": "* " * 400}, "at most 500 characters"),
    ({"interval_seconds_0": "5"}, "Both a crontab and an interval"),
    ({"crontab": "", "interval_seconds_0": "0.5", "interval_seconds_1": "seconds"}, "1 second at least"),
    ({"crontab": "", "interval_seconds_0": "nan"}, "is no interval"),
    ({"crontab": "", "interval_seconds_0": "5", "interval_seconds_1": "weeks<b>"}, "is no interval"),
    ({"crontab": "", "interval_seconds_0": "1e999"}, "is no interval"),
    ({"time_zone": "Mars/Olympus"}, "There is no time zone"),
    ({"time_zone": "../../etc/passwd"}, "There is no time zone"),
    ({"task": "os.system"}, "Select a valid choice"),
    ({"task": ""}, "This field is required"),
    ({"args": "[]"}, "missing &#x27;order&#x27;"),
    ({"args": "[1, 2, 3, 4, 5, 6, 7]"}, "positional arguments"),
    ({"args": "{}"}, "It is written like this: [1, &quot;two&quot;]"),
    ({"args": "[1"}, "no JSON that can be read"),
    ({"args": "[NaN]"}, "no JSON that can be read"),
    ({"args": "[" * 5000}, "no JSON that can be read"),
    ({"args": f"[{2**70}]"}, "past 64 bit"),
    ({"kwargs": '{"wrong": 1}'}, "unexpected &#x27;wrong&#x27;"),
    ({"kwargs": "[]"}, "It is written like this"),
    ({"queue": "no such place"}, "A-Z a-z 0-9"),
    ({"priority": "101"}, "from -100 to 100"),
    ({"expires_seconds": "-1"}, "a duration in seconds"),
    ({"expires_seconds": "0"}, "would expire before it may start"),
    ({"name": "a\u202eb"}, "printable characters only"),
    ({"name": "nul\0nul"}, "Null characters"),
    ({"name": "x" * 256}, "at most 255 characters"),
    ({"name": "nightly"}, "a schedule of this name already"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("fields", "why"), BAD, ids=[str(fields)[:40] for fields, _ in BAD])
def test_what_cannot_be_is_refused_with_the_reason(
    admin_client: Client, tasks: dict[str, TaskDefinition], fields: dict[str, str], why: str
) -> None:
    make_schedule("nightly")
    html = get_posted(admin_client, reverse(ADD), form(**fields))
    assert why in errors_of(html)
    assert "<script>" not in errors_of(html)
    assert PeriodicSchedule.objects.count() == 1


def get_posted(client: Client, page: str, given: dict[str, str]) -> str:
    answer = client.post(page, given)
    assert answer.status_code == 200, answer
    return answer.content.decode()


@pytest.mark.django_db
def test_an_edit_counts_from_now_only_where_it_changes_the_rule(
    admin_client: Client, tasks: dict[str, TaskDefinition]
) -> None:
    row = make_schedule("weekly", next_run_us=5, last_run_us=4, last_job_id="x")
    admin_client.post(change(row), form(args="[2]"))
    row.refresh_from_db()
    assert (row.args, row.next_run_us) == ("[2]", 5)
    admin_client.post(change(row), form(crontab="31 7 * * 1"))
    row.refresh_from_db()
    assert (row.crontab, row.next_run_us) == ("31 7 * * 1", None)


@pytest.mark.django_db
def test_an_edit_leaves_what_a_beat_and_other_people_have_written(
    admin_client: Client, tasks: dict[str, TaskDefinition], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_schedule("weekly", next_run_us=5)
    from django_jobs.admin.scheduleform import ScheduleForm

    clean = ScheduleForm.clean

    def fire_meanwhile(self: ScheduleForm) -> dict[str, Any]:
        PeriodicSchedule.objects.update(paused=True, last_run_us=5, last_job_id="fired", next_run_us=None)
        return clean(self)

    monkeypatch.setattr(ScheduleForm, "clean", fire_meanwhile)
    admin_client.post(change(row), form(args="[2]"))
    row.refresh_from_db()
    assert (row.args, row.paused, row.last_run_us, row.last_job_id, row.next_run_us) == ("[2]", True, 5, "fired", None)


@pytest.mark.django_db
def test_a_broken_schedule_is_mended_by_an_edit(admin_client: Client, tasks: dict[str, TaskDefinition]) -> None:
    row = make_schedule("weekly", task="gone.away", problem="No task is registered as 'gone.away'.")
    html = get(admin_client, change(row))
    assert "gone.away (not there any more)" in html
    assert "No task is registered as &#x27;gone.away&#x27;." in html
    admin_client.post(change(row), form())
    row.refresh_from_db()
    assert (row.task, row.problem) == ("admin_tests.ship", "")


@pytest.mark.django_db
@pytest.mark.parametrize("source", ["code", "settings"])
def test_what_code_and_settings_declare_is_not_edited_here(
    admin_client: Client, tasks: dict[str, TaskDefinition], source: str
) -> None:
    row = make_schedule("weekly", source=source, time_zone="Asia/Tokyo")
    page = change(row)
    html = get(admin_client, page)
    assert 'name="crontab"' not in html
    assert "Asia/Tokyo" in html
    assert html.count(" JST</td>") == 5
    assert "/pause/" in html
    assert admin_client.post(page, form(crontab="* * * * *")).status_code == 403
    assert admin_client.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    row.refresh_from_db()
    assert row.crontab == "30 7 * * 1"


@pytest.mark.django_db
def test_selected_schedules_are_deleted_only_where_each_may_be(admin_client: Client) -> None:
    rows = [make_schedule("mine"), make_schedule("theirs", source="code")]
    page = reverse("admin:django_jobs_periodicschedule_changelist")
    chosen = {"action": "delete_selected", "post": "yes", "_selected_action": [row.pk for row in rows]}
    assert admin_client.post(page, chosen).status_code == 403
    assert PeriodicSchedule.objects.count() == 2
    admin_client.post(page, {**chosen, "_selected_action": rows[0].pk})
    assert PeriodicSchedule.objects.get().name == "theirs"


@pytest.mark.django_db
def test_what_is_no_longer_declared_may_be_deleted(admin_client: Client) -> None:
    row = make_schedule(source="code", missing=True)
    admin_client.post(change(row).replace("change", "delete"), {"post": "yes"})
    assert not PeriodicSchedule.objects.exists()


# -- the next runs -----------------------------------------------------------------------------------------------------


def runs(zone: str = "", **values: Any) -> list[tuple[str, str]]:
    return list(next_runs({"time_zone": zone, **values}, now=NOW, default_zone="Europe/Berlin").runs)


def test_the_next_runs_are_told_by_both_clocks_over_a_change_of_them() -> None:
    assert runs(crontab="30 7 * * *")[:2] == [
        ("Sun 2026-03-29 07:30:00 CEST", "2026-03-29 05:30:00"),
        ("Mon 2026-03-30 07:30:00 CEST", "2026-03-30 05:30:00"),
    ]
    assert runs(crontab="0 12 * * *", zone="Asia/Tokyo")[0] == ("Sun 2026-03-29 12:00:00 JST", "2026-03-29 03:00:00")
    assert len(runs(crontab="* * * * *")) == 5


def test_the_next_runs_of_an_interval_are_its_multiples() -> None:
    assert [utc for _, utc in runs(interval_seconds=["90", "minutes"])][:2] == [
        "2026-03-28 13:30:00",
        "2026-03-28 15:00:00",
    ]
    assert runs(interval_seconds=5400.0) == runs(interval_seconds=["1.5", "hours"])


def test_the_day_rule_counts() -> None:
    either = runs(crontab="0 0 13 * 5", day_rule="or")
    both = runs(crontab="0 0 13 * 5", day_rule="and")
    assert either[0][0].startswith("Fri 2026-04-03")
    assert both[0][0].startswith("Fri 2026-11-13")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"crontab": "61 * * * *"}, "61 is out of range"),
        ({"crontab": "0 0 30 2 *"}, "would never run"),
        ({"crontab": "* * * * *", "zone": "Nowhere"}, "no time zone"),
        ({"interval_seconds": ["x", "minutes"]}, "no interval"),
        ({}, "Give a crontab or an interval."),
    ],
)
def test_why_there_are_none(values: dict[str, Any], why: str) -> None:
    zone = values.pop("zone", "")
    found = next_runs({"time_zone": zone, **values}, now=NOW, default_zone="UTC")
    assert (found.runs, why in found.problem) == ((), True), found.problem


@pytest.mark.django_db
def test_the_page_shows_the_runs_of_what_was_typed_also_where_it_is_refused(
    admin_client: Client, tasks: dict[str, TaskDefinition]
) -> None:
    row = make_schedule("weekly", crontab="30 7 * * 1", time_zone="UTC")
    assert get(admin_client, change(row)).count(" 07:30:00 UTC</td>") == 5
    refused = get_posted(admin_client, change(row), form(crontab="15 9 * * *", time_zone="UTC", args="["))
    assert refused.count(" 09:15:00 UTC</td>") == 5
    refused = get_posted(admin_client, change(row), form(crontab="61 9 * * *"))
    assert "61 is out of range" in refused.partition('id="jobs-next-runs"')[2]


@pytest.mark.django_db
def test_the_preview_answers_with_the_same_piece_of_the_page(admin_client: Client) -> None:
    page = reverse("admin:django_jobs_periodicschedule_preview")
    query = {"crontab": "", "interval_seconds_0": "2", "interval_seconds_1": "hours", "time_zone": "Asia/Tokyo"}
    html = get(admin_client, page, **query)
    assert html.count(" JST</td>") == 5
    assert "<html" not in html
    html = get(admin_client, page, crontab="<script>alert(1)</script> * * * *")
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
