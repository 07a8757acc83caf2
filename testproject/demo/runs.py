"""Reads and writes the rows of an audit. Each verb is one statement, or says that the caller's transaction holds it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db.models import Count, F, Min

from testproject.demo.audit import Audit, Installed
from testproject.demo.environment import Environment
from testproject.demo.models import AuditedDistribution, AuditRun
from testproject.demo.report import Line, Report, total

State = AuditRun.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How far an audit is."""

    state: str
    done: int
    expected: int


def audit_job_id(run_id: str, number: int) -> str:
    """Return the id of the job that audits one distribution: given, so that a repeated enqueue is no second job."""
    return f"audit:{run_id}:{number}"


def report_job_id(run_id: str) -> str:
    """Return the id of the job that writes the report."""
    return f"report:{run_id}"


def create(environment: Environment, found: Sequence[Installed], *, now: datetime) -> AuditRun:
    """Insert an audit with one row per distribution; belongs into a transaction with the enqueues."""
    run = AuditRun.objects.create(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        scope=environment.scope,
        host=environment.host[:255],
        prefix=environment.prefix,
        python=environment.python[:100],
        roots=list(environment.roots),
        expected=len(found),
        started_at=now,
    )
    AuditedDistribution.objects.bulk_create(
        [
            AuditedDistribution(
                run=run, number=number, name=item.name[:255], version=item.version[:255], location=item.location
            )
            for number, item in enumerate(found, start=1)
        ],
        batch_size=100,
    )
    return run


def unfinished(scope: str) -> AuditRun | None:
    """Return the newest audit of this environment that has not ended."""
    return AuditRun.objects.filter(scope=scope).exclude(state=State.DONE).order_by("-started_at").first()


def snapshot(run_id: str) -> Snapshot | None:
    """Return how far the audit is; None when its row is gone."""
    row = AuditRun.objects.filter(pk=run_id).values_list("state", "done", "expected").first()
    return None if row is None else Snapshot(state=row[0], done=row[1], expected=row[2])


def pending(run_id: str) -> list[int]:
    """Return the numbers of the distributions without a verdict."""
    rows = AuditedDistribution.objects.filter(run_id=run_id, finished_at=None).order_by("number")
    return list(rows.values_list("number", flat=True))


def location_of(run_id: str, number: int) -> str | None:
    """Return what is to be audited; None when it has its verdict already, or the audit is gone."""
    rows = AuditedDistribution.objects.filter(run_id=run_id, number=number, finished_at=None)
    return rows.values_list("location", flat=True).first()


def record(
    run_id: str, number: int, audit: Audit, *, error: str = "", runs: int, started_at: datetime, finished_at: datetime
) -> bool:
    """Store one verdict and count it; say whether it was the last one, so that the report is due.

    Belongs into a transaction. The verdict is taken once, however often its job runs; the audit's row is locked by
    the count, so that exactly one caller sees the last. The first statement writes: on SQLite a transaction that
    reads first may be refused at its first write.
    """
    fields = {**asdict(audit), "findings": [asdict(finding) for finding in audit.findings]}
    is_first = AuditedDistribution.objects.filter(run_id=run_id, number=number, finished_at=None).update(
        **fields, error=error, runs=runs, started_at=started_at, finished_at=finished_at
    )
    if not is_first:
        return False
    AuditRun.objects.filter(pk=run_id).update(done=F("done") + 1)
    return begin_report(run_id)


def begin_report(run_id: str) -> bool:
    """Go from auditing to reporting if nothing is left to audit; True for the one caller who did it."""
    rows = AuditRun.objects.filter(pk=run_id, state=State.AUDITING, done__gte=F("expected"))
    return bool(rows.update(state=State.REPORTING))


def finish(run_id: str, *, finished_at: datetime) -> None:
    """End the audit: its report is written and mailed."""
    AuditRun.objects.filter(pk=run_id, state=State.REPORTING).update(state=State.DONE, finished_at=finished_at)


def work_since(run_id: str, instant: datetime) -> tuple[int, datetime | None]:
    """Return how many verdicts were given since `instant`, and when the first of their jobs began."""
    rows = AuditedDistribution.objects.filter(run_id=run_id, finished_at__gte=instant)
    found = rows.aggregate(count=Count("pk"), first=Min("started_at"))
    return found["count"], found["first"]


def load_report(run: AuditRun, *, finished_at: datetime) -> Report:
    """Return all that the audit came to."""
    lines = [_line(row) for row in AuditedDistribution.objects.filter(run=run).order_by("number")]
    return Report(
        run=run.pk,
        host=run.host,
        prefix=run.prefix,
        python=run.python,
        roots=run.roots,
        started_at=run.started_at,
        finished_at=finished_at,
        totals=total(lines),
        lines=lines,
    )


def _line(row: AuditedDistribution) -> Line:
    seconds = (row.finished_at - row.started_at).total_seconds() if row.finished_at and row.started_at else 0.0
    return Line(
        name=row.name,
        version=row.version,
        location=row.location,
        files=row.files,
        unhashed=row.unhashed,
        bytes=row.bytes,
        missing=row.missing,
        altered=row.altered,
        unreadable=row.unreadable,
        has_record=row.has_record,
        error=row.error,
        runs=row.runs,
        seconds=max(0.0, seconds),
        findings=row.findings,
    )
