"""What a settle is as one JSON parameter, which PostgreSQL reads as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django_jobs.backends.database.engine import PlainEnds
from django_jobs.core.outcome import StoredResult

SETTLE_RECORD: Final = """x(c int, id text, task text, queue text, priority smallint, body text, given boolean,
  enqueued bigint, crashes int, status text, result text, error_class text, error_message text, traceback text,
  attempts text, attempt int, failures int, started bigint, finished bigint, worker text, keep boolean)"""


def settle_rows(ends: Sequence[PlainEnds]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, end in enumerate(ends):
        rows += [_settle_row(index, stored) for stored in end.results]
        rows += [{"c": index, "id": job_id, "given": given, "keep": False} for job_id, given in end.dropped]
    return rows


def _settle_row(index: int, s: StoredResult) -> dict[str, Any]:
    return {
        "c": index, "id": s.id, "task": s.task, "queue": s.queue, "priority": s.priority, "body": s.body,
        "given": s.id_given, "enqueued": s.enqueued_us, "crashes": s.crashes, "status": s.status.value,
        "result": s.result, "error_class": s.error_class[:255], "error_message": s.error_message,
        "traceback": s.traceback, "attempts": s.attempts, "attempt": s.attempt, "failures": s.failures,
        "started": s.started_us, "finished": s.finished_us, "worker": s.worker[:255], "keep": True,
    }  # fmt: skip
