"""`jobs cancel`: see to it that jobs do not start, or end where they can."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django_jobs.client.result import AsyncResult
from django_jobs.management.jobs.verb import ERROR, NOTHING_MATCHED, Output, Verb, stop
from django_jobs.ports.broker import CancelAnswer

SAID: Final = {
    CancelAnswer.CANCELLED: "cancelled: it never starts",
    CancelAnswer.REQUESTED: "requested: a worker holds it, and it does not run again",
    CancelAnswer.TOO_LATE: "too late: it has ended",
    CancelAnswer.UNKNOWN: "unknown: nobody knows this id; a job that arrives with it will not start",
}

ENDED: Final = "requested: a worker holds it, and ends it within seconds"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="+", help="The ids of the jobs.")
    parser.add_argument("--terminate", action="store_true", help="End those that run, too.")


def run(options: Mapping[str, Any], output: Output) -> None:
    terminate = options["terminate"]
    answers = {job_id: AsyncResult[Any](job_id).cancel(terminate=terminate) for job_id in dict.fromkeys(options["id"])}
    if output.as_json:
        output.document({"answers": {job_id: answer.value for job_id, answer in answers.items()}})
    else:
        said = SAID | {CancelAnswer.REQUESTED: ENDED} if terminate else SAID
        output.lines(f"{job_id}  {said[answer]}" for job_id, answer in answers.items())
    left = [answer for answer in answers.values() if answer in {CancelAnswer.TOO_LATE, CancelAnswer.UNKNOWN}]
    if left:
        code = NOTHING_MATCHED if len(left) == len(answers) else ERROR
        stop(f"{len(left)} of {len(answers)} jobs could not be cancelled.", code)


VERB = Verb(name="cancel", help="Cancel jobs by id.", add_arguments=add_arguments, run=run)
