"""`jobs list`: jobs that live, or those that ended in one state."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q

from django_jobs.connections import connections
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.pause import NOTHING_PAUSED, Pauses
from django_jobs.core.states import ENDED, State
from django_jobs.management.jobs.documents import job_document, status_of
from django_jobs.management.jobs.text import age, table
from django_jobs.management.jobs.verb import ERROR, NOTHING_MATCHED, Output, Verb, stop
from django_jobs.models import JobResult


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--queue", help="Only jobs of this queue.")
    parser.add_argument("--task", help="Only jobs of the task with this name.")
    parser.add_argument(
        "--status",
        choices=[state.value for state in State],
        help="Only jobs in this state. Without it: all that have not ended.",
    )
    parser.add_argument(
        "--limit", type=int, default=50, help="At most so many jobs (default: %(default)s, up to 1000)."
    )
    parser.add_argument(
        "--after", default="", metavar="PLACE", help="Go on behind this place: `next` of the page before."
    )


def run(options: Mapping[str, Any], output: Output) -> None:
    limit = max(1, min(1000, options["limit"]))
    state = State(options["status"]) if options["status"] else None
    jobs: Sequence[JobView | StoredResult]
    if state in ENDED:
        jobs, following = _ended(options, limit)
    else:
        jobs, following = _live(options, state, limit)
    pauses = Pauses(connections.broker.paused()) if state not in ENDED else NOTHING_PAUSED
    if output.as_json:
        output.document({"jobs": [job_document(job, pauses) for job in jobs], "next": following})
    elif jobs:
        output.lines(_table(jobs, pauses))
        if following:
            output.lines([f"More: --after {following}"])
    if not jobs:
        stop("No job matches.", NOTHING_MATCHED)


def _live(options: Mapping[str, Any], state: State | None, limit: int) -> tuple[Sequence[JobView], str | None]:
    page = connections.broker.list(
        queue=options["queue"], state=state, task=options["task"], after=options["after"], limit=limit + 1
    )
    return page[:limit], page[limit - 1].place if len(page) > limit else None


def _ended(options: Mapping[str, Any], limit: int) -> tuple[Sequence[StoredResult], str | None]:
    """Return a page of ended jobs, the newest first; its place is the id of the last one."""
    policy = connections.policy
    if policy.result_store not in {None, "database"}:
        stop(f"The result store {policy.result_store!r} cannot be listed. Look at single jobs: jobs show ID.", ERROR)
    rows = JobResult.objects.using(policy.database).filter(status=options["status"])
    for column in ("queue", "task"):
        if options[column]:
            rows = rows.filter(**{column: options[column]})
    if options["after"]:
        last = JobResult.objects.using(policy.database).filter(id=options["after"]).first()
        if last is None:
            stop(
                f"--after {options['after']}: there is no such result any more. Start again without it.",
                NOTHING_MATCHED,
            )
        rows = rows.filter(Q(finished_at__lt=last.finished_at) | Q(finished_at=last.finished_at, id__lt=last.id))
    ids = list(rows.order_by("-finished_at", "-id").values_list("id", flat=True)[: limit + 1])
    stored = connections.results.load_many(ids[:limit])
    page = [stored[job_id] for job_id in ids[:limit] if job_id in stored]
    return page, ids[limit - 1] if len(ids) > limit else None


def _table(jobs: Sequence[JobView | StoredResult], pauses: Pauses) -> list[str]:
    now = time.time()
    rows = [
        (
            job.id,
            _status(job, pauses),
            age(now - _moment_us(job) / 1_000_000),
            job.queue,
            job.task,
        )
        for job in jobs
    ]
    return list(table(("ID", "STATUS", "AGE", "QUEUE", "TASK"), rows, flexible=4))


def _status(job: JobView | StoredResult, pauses: Pauses) -> str:
    if isinstance(job, JobView) and job.parked:
        return job.parked
    if status_of(job) is State.QUEUED and pauses.on(queue=job.queue, task=job.task):
        return "paused"
    return status_of(job).value


def _moment_us(job: JobView | StoredResult) -> int:
    """Return when the job came into its state, as far as that is known."""
    if isinstance(job, StoredResult):
        return job.finished_us or job.enqueued_us
    return job.started_us or job.due_us or job.enqueued_us


VERB = Verb(
    name="list",
    help="List jobs: those that live, or with --status those that ended.",
    add_arguments=add_arguments,
    run=run,
)
