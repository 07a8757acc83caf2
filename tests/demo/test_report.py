"""What the report says, in each of its forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testproject.demo.report import Line, Report, format_bytes, headline, to_html, to_json, total
from testproject.demo.summary import MAX_NAMED, complaints, table

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(name: str = "apple", **fields: Any) -> Line:
    values: dict[str, Any] = {
        "version": "1.0",
        "location": f"/site/{name}-1.0.dist-info",
        "files": 3,
        "unhashed": 1,
        "bytes": 2048,
        "missing": 0,
        "altered": 0,
        "unreadable": 0,
        "has_record": True,
        "error": "",
        "runs": 1,
        "seconds": 0.25,
    }
    return Line(name=name, **{**values, **fields})


def altered(name: str = "pear", path: str = "pear.py") -> Line:
    return line(name, altered=1, findings=[{"path": path, "problem": "altered", "detail": "sha256 is another"}])


def report(*lines: Line) -> Report:
    return Report(
        run="20260301-120000-abcdef",
        host="box",
        prefix="/venv",
        python="CPython 3.12.1",
        roots=["/venv/lib"],
        started_at=BEGIN,
        finished_at=BEGIN + timedelta(seconds=2.5),
        totals=total(lines),
        lines=lines,
    )


def test_totals_are_the_sums_over_all_distributions() -> None:
    totals = total([line(), altered(), line("fig", has_record=False, files=0, bytes=0), line("kiwi", missing=2)])

    assert (totals.distributions, totals.without_record, totals.files, totals.bytes) == (4, 1, 9, 6144)
    assert (totals.missing, totals.altered, totals.mismatches) == (2, 1, 3)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({}, "every file is as it was installed"),
        ({"missing": 2}, ": 2 missing files"),
        ({"altered": 1, "missing": 1}, ": 1 missing files, 1 altered files"),
        ({"unreadable": 1}, ": 1 unreadable files"),
        ({"error": "its job was cancelled"}, ": 1 distributions without a verdict"),
    ],
)
def test_sound_is_only_what_could_be_compared_and_is_the_same(bad: dict[str, Any], says: str) -> None:
    totals = total([line(), line("pear", **bad)])

    assert totals.is_sound is not bool(bad)
    assert headline(totals).endswith(says)


def test_json_is_one_object_with_a_version_and_every_finding() -> None:
    document = json.loads(to_json(report(line(), altered())))

    assert document["version"] == 1
    assert document["is_sound"] is False
    assert document["seconds"] == 2.5
    assert document["totals"]["mismatches"] == 1
    assert [item["name"] for item in document["distributions"]] == ["apple", "pear"]
    assert document["distributions"][1]["findings"][0]["path"] == "pear.py"
    assert datetime.fromisoformat(document["started_at"]) == BEGIN


def test_html_escapes_what_comes_from_outside_and_shows_the_bad_ones_first() -> None:
    page = to_html(report(line("aaa"), altered("<script>alert(1)</script>", path="<b>.py")))

    assert "<script>" not in page
    assert "<b>" not in page
    assert page.index("&lt;script&gt;") < page.index("aaa 1.0")
    assert "&lt;b&gt;.py (sha256 is another)" in page


def test_html_of_a_sound_audit_says_so() -> None:
    page = to_html(report(line()))

    assert 'class="verdict good"' in page
    assert "as installed" in page


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (191_260_262, "182.4 MiB"), (5 * 2**50, "5120.0 TiB")],
)
def test_bytes_are_shown_in_the_largest_fitting_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_the_table_has_the_figures_and_where_the_report_is() -> None:
    lines = table(report(line(), altered()), seconds=0.5, jobs=3, places=[("Report", "var/reports/x.html")])
    rows = {name.strip(): value.strip() for name, _, value in (text.strip().partition("  ") for text in lines)}

    assert rows["Distributions"] == "2"
    assert rows["Files"] == "6 (2 more have no hash)"
    assert rows["Bytes"] == "4,096 (4.0 KiB)"
    assert rows["Mismatches"] == "1 (0 missing, 1 altered)"
    assert rows["Seconds"] == "0.5"
    assert rows["Jobs per second"] == "6.0 (3 jobs)"
    assert rows["Report"] == "var/reports/x.html"
    assert len({len(text) - len(text.lstrip()) for text in lines}) == 1


def test_a_table_of_no_time_divides_by_nothing() -> None:
    assert any("- (1 jobs)" in text for text in table(report(), seconds=0.0, jobs=1, places=[]))


def test_complaints_name_each_file_without_steering_the_terminal() -> None:
    named = list(complaints(report(line(), altered(path="a\x1b[2J\n.py"), line("fig", error="its job ended: boom"))))

    assert named == ["fig 1.0: its job ended: boom", "altered: a?[2J?.py (pear 1.0)"]


def test_complaints_end_with_how_many_more_there_are() -> None:
    named = list(complaints(report(*[altered(path=f"{number}.py") for number in range(MAX_NAMED + 3)])))

    assert len(named) == MAX_NAMED + 1
    assert named[-1].startswith("... and 3 more")
