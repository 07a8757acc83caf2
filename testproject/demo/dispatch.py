"""Begins an audit or goes on with an unfinished one, and looks after jobs that ended without a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from django_jobs import AsyncResult, State
from django_jobs.exceptions import ResultError
from testproject.demo import places, runs
from testproject.demo.audit import Audit, discover
from testproject.demo.environment import Environment
from testproject.demo.errors import DemoError, one_line
from testproject.demo.jobs import conclude, enqueue_audits, enqueue_report
from testproject.demo.models import AuditRun

LIVE = frozenset({State.SCHEDULED, State.QUEUED, State.RUNNING, State.RETRYING})
RETRIABLE = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED, State.QUARANTINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An audit to watch."""

    run: AuditRun
    is_resumed: bool


def start(environment: Environment, *, fresh: bool) -> Started:
    """Go on with the unfinished audit of this environment, or begin one; `fresh` drops all earlier ones first.

    Raises:
        DemoError: there is nothing to audit.
    """
    if fresh:
        drop(environment.scope)
    else:
        run = runs.unfinished(environment.scope)
        if run is not None:
            resume(run)
            return Started(run=run, is_resumed=True)
    return Started(run=begin(environment), is_resumed=False)


def begin(environment: Environment) -> AuditRun:
    """Insert an audit with its distributions and enqueue its jobs.

    Atomic: the rows and the jobs commit together, or not at all.
    """
    try:
        found = discover(environment.roots)
    except ValueError as error:
        raise DemoError(one_line(error)) from error
    if not found:
        raise NothingToAudit(f"No distribution is installed in {', '.join(environment.roots) or 'an empty sys.path'}.")
    with transaction.atomic():
        run = runs.create(environment, found, now=timezone.now())
        enqueue_audits(run, range(1, run.expected + 1))
    return run


def resume(run: AuditRun) -> None:
    """Enqueue what is left. What waits or runs stays as it is, what has its verdict is not done again.

    A job that ended without a verdict gets another chance, by an explicit retry.
    """
    numbers = runs.pending(run.pk)
    with transaction.atomic():
        enqueue_audits(run, numbers)
    for number in numbers:
        _retry_if_ended(runs.audit_job_id(run.pk, number))
    if not numbers:
        runs.begin_report(run.pk)
        enqueue_report(run.pk)
        _retry_if_ended(runs.report_job_id(run.pk))


def look_after(run: AuditRun) -> int:
    """Give a verdict of failure to each distribution whose job ended without one; return how many there were.

    A job that nobody knows any more is enqueued again.

    Raises:
        DemoError: the job that writes the report has failed.
    """
    lost = 0
    numbers = runs.pending(run.pk)
    for number in numbers:
        result: AsyncResult[Any] = AsyncResult(runs.audit_job_id(run.pk, number))
        status = result.status
        if status is None:
            enqueue_audits(run, [number])
        elif status not in LIVE and number in runs.pending(run.pk):
            lost += 1
            conclude(run.pk, number, Audit(), error=_why(result), runs_so_far=0, started_at=timezone.now())
    if not numbers:
        _look_after_report(run)
    return lost


def drop(scope: str) -> None:
    """Cancel what is left of this environment's audits, and delete their rows and reports."""
    for run in AuditRun.objects.filter(scope=scope):
        if run.state != AuditRun.State.DONE:
            for number in runs.pending(run.pk):
                AsyncResult(runs.audit_job_id(run.pk, number)).cancel()
            AsyncResult(runs.report_job_id(run.pk)).cancel()
        _delete(run)


def drop_old(scope: str, *, keep: int) -> None:
    """Delete the rows and reports of all but the newest audits of this environment that have ended."""
    for run in AuditRun.objects.filter(scope=scope, state=AuditRun.State.DONE).order_by("-started_at")[keep:]:
        _delete(run)


class NothingToAudit(DemoError):
    """Raised when no distribution is installed where the demo looks."""


def _delete(run: AuditRun) -> None:
    for path in places.report_files(run.pk):
        path.unlink(missing_ok=True)
    run.delete()


def _look_after_report(run: AuditRun) -> None:
    now = runs.snapshot(run.pk)
    if now is None or now.state == AuditRun.State.DONE:
        return
    result: AsyncResult[Any] = AsyncResult(runs.report_job_id(run.pk))
    status = result.status
    if status is None:
        runs.begin_report(run.pk)
        enqueue_report(run.pk)
    elif status not in LIVE and not _is_done(run):
        raise DemoError(f"The report was not written: {_why(result)}. Put that right and run the same command again.")


def _is_done(run: AuditRun) -> bool:
    now = runs.snapshot(run.pk)
    return now is not None and now.state == AuditRun.State.DONE


def _retry_if_ended(job_id: str) -> None:
    result: AsyncResult[Any] = AsyncResult(job_id)
    if result.status in RETRIABLE:
        result.retry()


def _why(result: AsyncResult[Any]) -> str:
    """Return in words how a job ended that gave no verdict."""
    try:
        result.get(timeout=0)
    except ResultError as error:
        return f"its job ended: {one_line(error)}"
    return "its job succeeded without storing a verdict"
