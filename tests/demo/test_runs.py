"""The rows of an audit: each verdict counts once, and exactly one of them is the last."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from testproject.demo import environment, runs
from testproject.demo.audit import Audit, Finding, Installed, Problem
from testproject.demo.models import AuditedDistribution, AuditRun

pytestmark = pytest.mark.django_db


def make(count: int = 2) -> AuditRun:
    found = [Installed(name=f"d{number}", version="1", location=f"/site/d{number}") for number in range(count)]
    return runs.create(environment.current([sys.prefix]), found, now=timezone.now())


def verdict(run: AuditRun, number: int, audit: Audit | None = None) -> bool:
    now = timezone.now()
    return runs.record(run.pk, number, audit or Audit(files=1), runs=1, started_at=now, finished_at=now)


def test_the_last_verdict_and_no_other_makes_the_report_due() -> None:
    run = make(3)

    assert [verdict(run, number) for number in (2, 1, 3)] == [False, False, True]
    assert runs.snapshot(run.pk) == runs.Snapshot(state="reporting", done=3, expected=3)


def test_a_repeated_verdict_changes_and_counts_nothing() -> None:
    run = make(2)
    verdict(run, 1, Audit(files=7))

    assert verdict(run, 1, Audit(files=9)) is False

    assert runs.snapshot(run.pk) == runs.Snapshot(state="auditing", done=1, expected=2)
    assert AuditedDistribution.objects.get(run=run, number=1).files == 7


def test_a_repeated_last_verdict_makes_no_second_report() -> None:
    run = make(1)

    assert verdict(run, 1) is True
    assert verdict(run, 1) is False
    assert runs.begin_report(run.pk) is False


def test_pending_is_what_has_no_verdict() -> None:
    run = make(3)
    verdict(run, 2)

    assert runs.pending(run.pk) == [1, 3]
    assert runs.location_of(run.pk, 1) == "/site/d0"
    assert runs.location_of(run.pk, 2) is None
    assert runs.location_of("no such audit", 1) is None


def test_only_an_unfinished_audit_of_this_environment_is_gone_on_with(tmp_path: Path) -> None:
    run = make(1)
    elsewhere = environment.current([str(tmp_path)])

    assert runs.unfinished(run.scope) == run
    assert runs.unfinished(elsewhere.scope) is None
    verdict(run, 1)
    runs.finish(run.pk, finished_at=timezone.now())
    assert runs.unfinished(run.scope) is None


def test_an_audit_is_finished_only_after_its_report_was_due() -> None:
    run = make(1)

    runs.finish(run.pk, finished_at=timezone.now())

    assert runs.snapshot(run.pk) == runs.Snapshot(state="auditing", done=0, expected=1)


def test_the_work_of_this_start_is_told_from_earlier_work() -> None:
    run = make(2)
    verdict(run, 1)
    AuditedDistribution.objects.filter(run=run, number=1).update(finished_at=timezone.now() - timedelta(hours=1))
    verdict(run, 2)

    count, first_at = runs.work_since(run.pk, timezone.now() - timedelta(minutes=1))

    assert count == 1
    assert first_at == AuditedDistribution.objects.get(run=run, number=2).started_at


def test_the_report_has_what_the_verdicts_say() -> None:
    run = make(2)
    finding = Finding(path="a.py", problem=Problem.ALTERED, detail="other")
    verdict(run, 1, Audit(files=2, bytes=10, altered=1, findings=(finding,)))
    verdict(run, 2, Audit(has_record=False))

    report = runs.load_report(run, finished_at=timezone.now())

    assert [line.name for line in report.lines] == ["d0", "d1"]
    assert report.lines[0].findings == [{"path": "a.py", "problem": "altered", "detail": "other"}]
    assert (report.totals.altered, report.totals.without_record) == (1, 1)


def test_an_environment_is_told_by_its_roots(tmp_path: Path) -> None:
    one, two = environment.current([str(tmp_path)]), environment.current([sys.prefix])

    assert one.scope != two.scope
    assert environment.current([str(tmp_path)]).scope == one.scope
    assert environment.queue_name(one.scope) != environment.queue_name(two.scope)


def test_a_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        environment.current([str(tmp_path / "nowhere")])
