"""Starts ended jobs again for people, each only if it still is what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.translation import ngettext

from django_jobs.admin.audit import record
from django_jobs.client.result import start_again
from django_jobs.connections import connections
from django_jobs.core.message import ID_PATTERN
from django_jobs.exceptions import BrokerError, ResultError
from django_jobs.models import JobResult

SEEN: Final = "seen"
"""The form's field: `attempt status id` of each job."""
AT_ONCE: Final = 500
"""Jobs in one form; each takes a step of the broker."""
DONE: Final = "Retried."


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a retry came to."""

    retried: int
    why: str = ""
    """Why the others were not; empty where there are none."""


def seen_of(row: JobResult) -> str:
    """Return what the form says of a job as it is shown."""
    return f"{row.attempt} {row.status} {row.pk}"


def retry(request: HttpRequest, seen: Sequence[str]) -> Done:
    """Start again those of the jobs that still are what was seen, and note each."""
    wanted = {text.rpartition(" ")[2]: text for text in seen[:AT_ONCE]}
    wanted = {job_id: text for job_id, text in wanted.items() if ID_PATTERN.match(job_id)}
    retried: list[JobResult] = []
    try:
        found = connections.results.load_many(list(wanted))
        for job_id, stored in found.items():
            if f"{stored.attempt} {stored.status} {job_id}" != wanted[job_id]:
                continue
            try:
                start_again(stored)
            except ResultError:
                continue
            retried.append(JobResult(id=job_id, task=stored.task))
    except BrokerError as error:
        why = str(error)
    else:
        why = _changed(len(seen[:AT_ONCE]) - len(retried))
    if retried:
        record(request, retried, DONE)
    return Done(retried=len(retried), why=why)


def _changed(count: int) -> str:
    if not count:
        return ""
    text = ngettext(
        "%(count)d job was not retried: it is no longer what the page showed. Look at it again.",
        "%(count)d jobs were not retried: they are no longer what the page showed. Look at them again.",
        count,
    )
    return text % {"count": count}
