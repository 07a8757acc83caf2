"""Beginning, going on, looking after and dropping an audit, against the project's own broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import timezone

from django_jobs import AsyncResult, State
from django_jobs.connections import connections
from testproject.demo import dispatch, environment, places, runs
from testproject.demo.audit import discover
from testproject.demo.dispatch import NothingToAudit
from testproject.demo.environment import Environment
from testproject.demo.errors import DemoError
from testproject.demo.jobs import audit_distribution, write_report
from testproject.demo.models import AuditedDistribution, AuditRun
from tests.demo.fake_site import install

pytestmark = pytest.mark.django_db


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Environment]:
    for name in ("apple", "fig", "pear"):
        install(tmp_path / "site", name, {f"{name}.py": b"x"})
    with override_settings(VAR_DIR=tmp_path / "var"):
        yield environment.current([str(tmp_path / "site")])


def status(run: AuditRun, number: int) -> State | None:
    return AsyncResult[object](runs.audit_job_id(run.pk, number)).status


def cancel(run: AuditRun, number: int) -> None:
    AsyncResult[object](runs.audit_job_id(run.pk, number)).cancel()


def queued(where: Environment) -> int:
    name = environment.queue_name(where.scope)
    return sum(stats.queued for stats in connections.broker.stats() if stats.queue == name)


def test_an_audit_begins_with_one_job_per_distribution_on_the_queue_of_its_environment(where: Environment) -> None:
    started = dispatch.start(where, fresh=False)

    assert not started.is_resumed
    assert [status(started.run, number) for number in (1, 2, 3)] == [State.QUEUED] * 3
    assert queued(where) == 3


def test_an_unfinished_audit_goes_on_without_a_second_job(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    audit_distribution(run.pk, 2)

    again = dispatch.start(where, fresh=False)

    assert (again.run, again.is_resumed) == (run, True)
    assert queued(where) == 3
    assert runs.pending(run.pk) == [1, 3]


def test_a_finished_audit_is_followed_by_a_new_one(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    for number in (1, 2, 3):
        audit_distribution(run.pk, number)
    write_report(run.pk)

    assert dispatch.start(where, fresh=False).run != run


def test_going_on_gives_a_cancelled_job_another_chance(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    cancel(run, 1)
    before = status(run, 1)

    dispatch.start(where, fresh=False)

    assert (before, status(run, 1)) == (State.CANCELLED, State.QUEUED)


def test_going_on_where_only_the_report_is_missing_enqueues_it_once(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    for number in (1, 2, 3):
        audit_distribution(run.pk, number)
    AsyncResult[object](runs.report_job_id(run.pk)).cancel()

    dispatch.start(where, fresh=False)

    assert AsyncResult[object](runs.report_job_id(run.pk)).status is State.QUEUED


def test_a_job_that_ended_without_a_verdict_gets_one_of_failure(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    cancel(run, 2)

    assert dispatch.look_after(run) == 1

    row = AuditedDistribution.objects.get(run=run, number=2)
    assert "cancelled" in row.error
    assert runs.pending(run.pk) == [1, 3]


def test_looking_after_leaves_waiting_jobs_alone(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run

    assert dispatch.look_after(run) == 0
    assert runs.pending(run.pk) == [1, 2, 3]


def test_a_last_verdict_of_failure_makes_the_report_due_too(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    for number in (1, 2, 3):
        cancel(run, number)

    assert dispatch.look_after(run) == 3

    assert AsyncResult[object](runs.report_job_id(run.pk)).status is State.QUEUED


def test_a_job_that_nobody_knows_is_enqueued(where: Environment) -> None:
    run = runs.create(where, discover(where.roots), now=timezone.now())

    dispatch.look_after(run)

    assert [status(run, number) for number in (1, 2, 3)] == [State.QUEUED] * 3


def test_a_report_that_failed_for_good_is_said(where: Environment) -> None:
    run = dispatch.start(where, fresh=False).run
    for number in (1, 2, 3):
        audit_distribution(run.pk, number)
    AsyncResult[object](runs.report_job_id(run.pk)).cancel()

    with pytest.raises(DemoError, match=r"The report was not written: .*cancelled"):
        dispatch.look_after(run)


def test_fresh_drops_rows_jobs_and_reports_and_begins_anew(where: Environment) -> None:
    done = dispatch.start(where, fresh=False).run
    for number in (1, 2, 3):
        audit_distribution(done.pk, number)
    write_report(done.pk)
    unfinished = dispatch.start(where, fresh=False).run

    begun = dispatch.start(where, fresh=True)

    assert not begun.is_resumed
    assert list(AuditRun.objects.values_list("pk", flat=True)) == [begun.run.pk]
    assert status(unfinished, 1) is State.CANCELLED
    assert not any(path.exists() for path in places.report_files(done.pk))


def test_fresh_leaves_other_environments_alone(where: Environment, tmp_path: Path) -> None:
    install(tmp_path / "other", "plum", {})
    other = dispatch.start(environment.current([str(tmp_path / "other")]), fresh=False).run

    dispatch.start(where, fresh=True)

    assert status(other, 1) is State.QUEUED


def test_an_empty_environment_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingToAudit, match="No distribution is installed in"):
        dispatch.start(environment.current([str(tmp_path)]), fresh=False)

    assert not AuditRun.objects.exists()
