"""The demo's jobs: one per distribution, and the report, which whoever finishes last enqueues."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.filebased import EmailBackend
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from django_jobs import current_job, job
from testproject.demo import places, runs
from testproject.demo.audit import Audit, verify
from testproject.demo.environment import queue_name
from testproject.demo.models import AuditRun
from testproject.demo.report import Report, format_bytes, headline, to_html, to_json

MAX_RETRIES = 3
PASSING = (OSError, OperationalError, InterfaceError)
"""Errors that may be gone at the next attempt; both of Django's are what drivers raise for a lost connection."""
RECIPIENT = "demo@localhost"


@job(retry_on=PASSING, max_retries=MAX_RETRIES, retry_backoff=1, retry_backoff_max=8)
def audit_distribution(run_id: str, number: int) -> dict[str, Any]:
    """Compare every file of one distribution with its RECORD.

    A file that cannot be read makes the job run again, a second or some later; once no retries are left it is
    reported as unreadable. Repeating the job is harmless: the verdict is taken once.
    """
    request = current_job()
    started_at = timezone.now()
    location = runs.location_of(run_id, number)
    if location is None:
        return {"skipped": "it has its verdict already, or its audit is gone"}
    retries = request.retries if request else MAX_RETRIES
    audit = verify(location, tolerate=retries >= MAX_RETRIES)
    runs_so_far = retries + request.crashes + 1 if request else 1
    conclude(run_id, number, audit, runs_so_far=runs_so_far, started_at=started_at)
    return {"files": audit.files, "bytes": audit.bytes, "missing": audit.missing, "altered": audit.altered}


@job(retry_on=PASSING, max_retries=MAX_RETRIES, retry_backoff=1, retry_backoff_max=8)
def write_report(run_id: str) -> dict[str, Any]:
    """Write the report as HTML and JSON, mail it, and end the audit.

    Repeating it writes the same files again; a process that dies between the mail and the end of this job mails twice.
    """
    run = AuditRun.objects.filter(pk=run_id).first()
    if run is None or run.state != AuditRun.State.REPORTING:
        return {"skipped": "it is written already, or its audit is gone"}
    finished_at = timezone.now()
    report = runs.load_report(run, finished_at=finished_at)
    page, data = places.report_files(run_id)
    html = to_html(report)
    _write(page, html)
    _write(data, to_json(report))
    _mail(report, html)
    runs.finish(run_id, finished_at=finished_at)
    return {"html": str(page), "json": str(data), "is_sound": report.totals.is_sound}


def conclude(
    run_id: str, number: int, audit: Audit, *, error: str = "", runs_so_far: int, started_at: datetime
) -> None:
    """Store a verdict; the last one enqueues the report.

    Atomic: the verdict, the count and the enqueue of the report commit together, or not at all.
    """
    with transaction.atomic():
        is_last = runs.record(
            run_id, number, audit, error=error, runs=runs_so_far, started_at=started_at, finished_at=timezone.now()
        )
        if is_last:
            enqueue_report(run_id)


def enqueue_audits(run: AuditRun, numbers: Iterable[int]) -> None:
    """Enqueue the audit of these distributions; those that are enqueued already stay as they are: ids are given."""
    for number in numbers:
        audit_distribution.apply_async(
            (run.pk, number), task_id=runs.audit_job_id(run.pk, number), queue=queue_name(run.scope)
        )


def enqueue_report(run_id: str) -> None:
    """Enqueue the report of an audit, once: its id is given."""
    scope = AuditRun.objects.values_list("scope", flat=True).get(pk=run_id)
    write_report.apply_async((run_id,), task_id=runs.report_job_id(run_id), queue=queue_name(scope))


def _write(path: Path, text: str) -> None:
    """Write a whole file or none: whoever reads it meanwhile sees the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _mail(report: Report, html: str) -> None:
    totals = report.totals
    text = "\n".join(
        [
            f"{headline(totals)}.",
            "",
            f"{totals.files} files, {format_bytes(totals.bytes)}, {totals.mismatches} mismatches "
            f"in {report.seconds:.1f} s.",
            *(
                f"{finding['problem']}: {finding['path']} ({line.name} {line.version})"
                for line in report.lines
                for finding in line.findings
            ),
        ]
    )
    subject = "".join(f"Audit of {report.host}: {headline(totals)}".splitlines())
    message = EmailMultiAlternatives(subject, text, "jobs@localhost", [RECIPIENT])
    message.attach_alternative(html, "text/html")
    # Named here, not in the settings, so that the demo never sends a mail to anybody, whatever those say.
    EmailBackend(file_path=str(places.mail())).send_messages([message])
