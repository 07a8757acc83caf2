"""`jobs show`: everything about one job."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django_jobs.connections import connections
from django_jobs.core.message import ID_PATTERN
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.pause import NOTHING_PAUSED, Pauses
from django_jobs.management.jobs.documents import Document, job_document
from django_jobs.management.jobs.text import one_line
from django_jobs.management.jobs.verb import NOTHING_MATCHED, Output, Verb, stop


def find(job_id: str) -> JobView | StoredResult | None:
    """Return the job wherever it is: ended, alive, or ended in between."""
    if not ID_PATTERN.match(job_id):
        return None
    for look in (connections.results.load_many, connections.broker.state_of, connections.results.load_many):
        if (job := look([job_id]).get(job_id)) is not None:
            return job
    return None


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", help="The job's id.")


def run(options: Mapping[str, Any], output: Output) -> None:
    job = find(options["id"])
    if job is None:
        stop(
            f"Nobody knows a job {options['id']}: the id is wrong, its success was not kept, or its result was pruned.",
            NOTHING_MATCHED,
        )
    document = job_document(job, Pauses(connections.broker.paused()) if isinstance(job, JobView) else NOTHING_PAUSED)
    if output.as_json:
        output.document({"job": document})
    else:
        output.lines(describe(document))


def describe(job: Document) -> Iterator[str]:
    """Yield the lines that show a job to people."""
    yield f"Job {job['id']}"
    for name, value in (
        ("task", job["task"]),
        ("status", _status(job)),
        ("queue", f"{job['queue']}, priority {job['priority']}"),
        ("turns by", None if job["fair_key"] is None else job["fair_key"] or '"", of all without a key'),
        ("enqueued", job["enqueued_at"]),
        ("due", job["eta"]),
        ("started", job["started_at"]),
        ("finished", job["finished_at"]),
        ("worker", job["worker"]),
        ("args", json.dumps(job["args"], ensure_ascii=False)),
        ("kwargs", json.dumps(job["kwargs"], ensure_ascii=False)),
        ("result", json.dumps(job["result"], ensure_ascii=False) if job["status"] == "succeeded" else None),
    ):
        if value is not None:
            yield f"  {name:<10}{one_line(str(value))}"
    if job["error"]:
        yield f"  {'error':<10}{one_line(': '.join(filter(None, (job['error']['class'], job['error']['message']))))}"
        yield from (f"    {line}" for line in job["error"]["traceback"].splitlines())
    for attempt in job["attempts"]:
        yield f"  {'attempt ' + str(attempt['attempt']):<10} {one_line(_attempt(attempt))}"


def _status(job: Document) -> str:
    counts = [f"{name} {job[name]}" for name in ("failures", "crashes") if job[name]]
    reason = [f"waits: {job['waits_because']}"] if job["waits_because"] else []
    notes = ", ".join([*reason, *counts])
    return f"{job['status']} ({notes})" if notes else str(job["status"])


def _attempt(attempt: Document) -> str:
    error = attempt["error"]
    parts = [attempt["cause"], attempt["ended_at"], attempt["worker"]]
    told = ": ".join(filter(None, (error["class"], error["message"]))) if error else ""
    return ", ".join(part for part in (*parts, told) if part)


VERB = Verb(name="show", help="Show one job whole.", add_arguments=add_arguments, run=run)
