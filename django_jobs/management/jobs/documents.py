"""A job as JSON shows it: the same keys for one that waits, runs or has ended."""

from __future__ import annotations

from typing import Any

import msgspec

from django_jobs.core import attempts as attempt_list
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.message import Body, decode_body
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.pause import NOTHING_PAUSED, Pauses
from django_jobs.core.states import State
from django_jobs.exceptions import InvalidMessage
from django_jobs.management.jobs.text import iso

Document = dict[str, Any]


def job_document(job: JobView | StoredResult, pauses: Pauses = NOTHING_PAUSED) -> Document:
    """Return the document of a job; `pauses` say why it may wait.

    args, kwargs and result are as the wire has them: JSON, with a tagged object for a datetime, Decimal and so on;
    args and kwargs are null for a message that cannot be read. `attempts` are those that failed or crashed.
    """
    ended = job if isinstance(job, StoredResult) else None
    live = job if isinstance(job, JobView) else None
    body = _body(job.body)
    return {
        "id": job.id,
        "task": job.task,
        "queue": job.queue,
        "status": status_of(job).value,
        "priority": job.priority,
        "fair_key": None if body is None or body.bounds is None else body.bounds.fair,
        "failures": job.failures,
        "crashes": job.crashes,
        "attempts": [_attempt(record) for record in attempt_list.load(job.attempts)],
        "args": None if body is None else list(body.args),
        "kwargs": None if body is None else body.kwargs,
        "enqueued_at": iso(job.enqueued_us),
        "eta": iso(live.due_us) if live else None,
        "started_at": iso(job.started_us),
        "finished_at": iso(ended.finished_us) if ended else None,
        "worker": (ended.worker or None) if ended else None,
        "waits_because": (waits_because(live, pauses) or None) if live else None,
        "result": msgspec.json.decode(ended.result) if ended and ended.result else None,
        "error": _error(ended) if ended and ended.error_class else None,
    }


def waits_because(view: JobView, pauses: Pauses) -> str:
    """Return what a job waits for but its turn; an empty text for nothing."""
    pause = None if view.state is State.RUNNING else pauses.on(queue=view.queue, task=view.task)
    return view.parked or ("" if pause is None else str(pause))


def status_of(job: JobView | StoredResult) -> State:
    """Return the job's state."""
    return job.status if isinstance(job, StoredResult) else job.state


def _error(stored: StoredResult) -> Document:
    return {"class": stored.error_class, "message": stored.error_message, "traceback": stored.traceback}


def _attempt(record: AttemptRecord) -> Document:
    return {
        "attempt": record.attempt,
        "cause": record.cause,
        "started_at": iso(record.started_us),
        "ended_at": iso(record.ended_us),
        "worker": record.worker or None,
        "error": {"class": record.error_class, "message": record.message, "traceback": record.traceback}
        if record.error_class
        else None,
    }


def _body(text: str) -> Body | None:
    try:
        return decode_body(text)
    except InvalidMessage:
        return None
