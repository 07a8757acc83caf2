"""The jobs of the demo, called as functions; real runs are in test_command.py."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import timezone

from django_jobs import AsyncResult, State
from django_jobs.execution.context import Request, reset_current, set_current
from testproject.demo import environment, places, runs
from testproject.demo.audit import discover
from testproject.demo.jobs import MAX_RETRIES, audit_distribution, write_report
from testproject.demo.models import AuditedDistribution, AuditRun
from tests.demo.fake_site import install

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def var(tmp_path: Path) -> Iterator[Path]:
    with override_settings(VAR_DIR=tmp_path / "var"):
        yield tmp_path / "var"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def make_run(site: Path) -> AuditRun:
    where = environment.current([str(site)])
    return runs.create(where, discover(where.roots), now=timezone.now())


@contextmanager
def inside_job(*, retries: int, crashes: int = 0) -> Iterator[None]:
    token = set_current(Request(id="x", task="x", retries=retries, crashes=crashes))
    try:
        yield
    finally:
        reset_current(token)


def mails(var: Path) -> list[EmailMessage]:
    """Return what the file backend wrote: messages that end in a line of dashes."""
    parts = [part for path in sorted((var / "mail").iterdir()) for part in path.read_bytes().split(b"-" * 79 + b"\n")]
    return [email.message_from_bytes(part, policy=email.policy.default) for part in parts if part.strip()]


def test_the_last_audit_enqueues_the_report(site: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    install(site, "pear", {"b.py": b"x"})
    run = make_run(site)

    audit_distribution(run.pk, 1)
    before = AsyncResult[object](runs.report_job_id(run.pk)).status
    audit_distribution(run.pk, 2)

    assert before is None
    assert AsyncResult[object](runs.report_job_id(run.pk)).status is State.QUEUED


def test_an_audit_that_has_its_verdict_is_not_done_again(site: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    run = make_run(site)
    audit_distribution(run.pk, 1)
    (site / "a.py").write_bytes(b"y")

    assert "skipped" in audit_distribution(run.pk, 1)

    assert AuditedDistribution.objects.get(run=run).altered == 0


def test_an_unreadable_file_is_tried_again_before_it_is_reported(site: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    (site / "a.py").unlink()
    (site / "a.py").symlink_to("a.py")
    run = make_run(site)

    with inside_job(retries=MAX_RETRIES - 1), pytest.raises(OSError, match="symbolic links"):
        audit_distribution(run.pk, 1)
    pending = runs.pending(run.pk)
    with inside_job(retries=MAX_RETRIES, crashes=1):
        audit_distribution(run.pk, 1)

    assert pending == [1]
    row = AuditedDistribution.objects.get(run=run)
    assert (row.unreadable, row.runs) == (1, MAX_RETRIES + 2)


def test_the_report_is_written_mailed_and_ends_the_audit(site: Path, var: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    run = make_run(site)
    (site / "a.py").write_bytes(b"y")
    audit_distribution(run.pk, 1)

    answer = write_report(run.pk)

    page, data = places.report_files(run.pk)
    assert answer == {"html": str(page), "json": str(data), "is_sound": False}
    assert page.parent == var / "reports"
    assert "a.py" in page.read_text()
    assert json.loads(data.read_text())["totals"]["altered"] == 1
    assert [path.suffix for path in page.parent.iterdir() if path.suffix == ".tmp"] == []
    run.refresh_from_db()
    assert (run.state, run.finished_at is not None) == (AuditRun.State.DONE, True)
    (message,) = mails(var)
    assert "1 altered files" in message["Subject"]
    body, page_part = message.get_body(("plain",)), message.get_body(("html",))
    assert body is not None
    assert "altered: a.py (apple 1.0)" in body.get_content()
    assert page_part is not None
    assert page_part.get_content().strip() == page.read_text().strip()


def test_a_written_report_is_not_mailed_again(site: Path, var: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    run = make_run(site)
    audit_distribution(run.pk, 1)
    write_report(run.pk)

    assert "skipped" in write_report(run.pk)

    assert len(mails(var)) == 1


def test_jobs_of_a_dropped_audit_do_nothing(site: Path, var: Path) -> None:
    assert "skipped" in audit_distribution("no such audit", 1)
    assert "skipped" in write_report("no such audit")
    assert not var.exists()


def test_a_report_directory_that_cannot_be_written_to_raises_for_a_retry(site: Path, var: Path) -> None:
    install(site, "apple", {"a.py": b"x"})
    run = make_run(site)
    audit_distribution(run.pk, 1)
    var.write_bytes(b"a file where the directory belongs")

    with pytest.raises(OSError, match="var"):
        write_report(run.pk)

    assert runs.snapshot(run.pk) == runs.Snapshot(state="reporting", done=1, expected=1)
