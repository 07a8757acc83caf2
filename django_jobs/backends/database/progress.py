"""What running jobs say about themselves: one row each, beside their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import in_list
from django_jobs.backends.database.views import claims_of
from django_jobs.ports.broker import PROGRESS_KEPT_SECONDS

PROGRESS: Final = "django_jobs_jobprogress"


def set_progress(engine: Engine, cursor: Any, notes: Sequence[tuple[str, int, str]]) -> list[str]:
    """Write what jobs say whose attempt is the one that is claimed; return their ids."""
    claimed = claims_of(cursor, [job_id for job_id, _, _ in notes])
    held = [note for note in sorted(notes) if note[0] in claimed and claimed[note[0]][1] == note[1]]
    now_us = engine.now_us(cursor)
    for job_id, _, text in held:
        cursor.execute(f"UPDATE {PROGRESS} SET text = %s, updated_us = %s WHERE job_id = %s", [text, now_us, job_id])
        if not cursor.rowcount:
            engine.insert(cursor, PROGRESS, ("job_id", "text", "updated_us"), [(job_id, text, now_us)], ignore=True)
    return [job_id for job_id, _, _ in held]


def progress_of(cursor: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return what is there, by id."""
    cursor.execute(f"SELECT job_id, text FROM {PROGRESS} WHERE job_id IN {in_list(len(ids))}", ids)
    return dict(cursor.fetchall())


def sweep(engine: Engine, cursor: Any, limit: int) -> int:
    """Drop what was said long ago."""
    old_us = engine.now_us(cursor) - PROGRESS_KEPT_SECONDS * 1_000_000
    cursor.execute(f"SELECT job_id FROM {PROGRESS} WHERE updated_us < %s ORDER BY updated_us LIMIT {limit}", [old_us])
    ids = [row[0] for row in cursor.fetchall()]
    if ids:
        cursor.execute(
            f"DELETE FROM {PROGRESS} WHERE job_id IN {in_list(len(ids))} AND updated_us < %s", [*ids, old_us]
        )
    return len(ids)
