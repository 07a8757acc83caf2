"""The demo's periodic job, called as a function, and its schedule; a real run is in test_serve.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from django_jobs.models import PeriodicSchedule
from testproject.demo import environment, places, runs
from testproject.demo.environment import Environment
from testproject.demo.jobs import audit_distribution, write_report
from testproject.demo.models import AuditRun
from testproject.demo.tasks import KEPT, SCHEDULE, repeat_audit, schedule_repeats
from tests.demo.fake_site import install

pytestmark = pytest.mark.django_db


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Environment]:
    install(tmp_path / "site", "apple", {"apple.py": b"x"})
    with override_settings(VAR_DIR=tmp_path / "var"):
        yield environment.current([str(tmp_path / "site")])


def finish(run_id: str) -> None:
    audit_distribution(run_id, 1)
    write_report(run_id)


def test_it_begins_another_audit_of_the_same_directories(where: Environment) -> None:
    answer = repeat_audit(list(where.roots))
    run = AuditRun.objects.get()
    assert answer == {"audit": run.pk}
    assert (run.scope, run.roots, run.expected) == (where.scope, list(where.roots), 1)


def test_it_does_nothing_while_an_audit_is_going_on(where: Environment) -> None:
    first = repeat_audit(list(where.roots))["audit"]
    assert repeat_audit(list(where.roots)) == {"skipped": f"{first} is going on"}
    finish(first)
    assert "audit" in repeat_audit(list(where.roots))


def test_old_audits_go_with_their_reports(where: Environment) -> None:
    ids = []
    for _ in range(KEPT + 2):
        ids.append(repeat_audit(list(where.roots))["audit"])
        finish(ids[-1])
    assert set(AuditRun.objects.values_list("pk", flat=True)) == set(ids[1:])
    assert [path.exists() for path in places.report_files(ids[0])] == [False, False]
    assert [path.exists() for path in places.report_files(ids[1])] == [True, True]
    assert runs.unfinished(where.scope) is None


def test_there_is_one_schedule_and_it_follows_the_environment(where: Environment) -> None:
    schedule_repeats(where)
    PeriodicSchedule.objects.pause()
    elsewhere = environment.current([str(Path(where.roots[0]).parent)])
    schedule_repeats(elsewhere)

    row = PeriodicSchedule.objects.get(name=SCHEDULE)
    assert json.loads(row.args) == [list(elsewhere.roots)]
    assert row.queue == environment.queue_name(elsewhere.scope)
    assert (row.paused, row.next_run_us) == (True, None)
    assert row.declaration().task == repeat_audit.name
