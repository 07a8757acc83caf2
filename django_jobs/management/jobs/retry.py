"""`jobs retry`: start ended jobs again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django_jobs.client.result import AsyncResult
from django_jobs.exceptions import ResultError
from django_jobs.management.jobs.verb import ERROR, NOTHING_MATCHED, Output, Verb, stop


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="+", help="The ids of jobs that failed, expired, were cancelled or quarantined.")


def run(options: Mapping[str, Any], output: Output) -> None:
    refused: dict[str, str] = {}
    ids = list(dict.fromkeys(options["id"]))
    for job_id in ids:
        try:
            AsyncResult[Any](job_id).retry()
        except ResultError as error:
            refused[job_id] = str(error)
    retried = [job_id for job_id in ids if job_id not in refused]
    if output.as_json:
        output.document({"retried": retried, "refused": refused})
    else:
        output.lines(f"{job_id}  enqueued again" for job_id in retried)
        output.lines(f"{job_id}  refused: {reason}" for job_id, reason in refused.items())
    if refused:
        stop(f"{len(refused)} of {len(ids)} jobs were not retried.", ERROR if retried else NOTHING_MATCHED)


VERB = Verb(name="retry", help="Start ended jobs again, by id.", add_arguments=add_arguments, run=run)
