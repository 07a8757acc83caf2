"""`jobs cancel`: see to it that jobs do not start, or end where they can; by their ids, or by what they are."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django_jobs.client.cancelling import Chosen, cancel_chosen, count_chosen
from django_jobs.client.result import AsyncResult
from django_jobs.core.states import State
from django_jobs.management.jobs.prune import duration_seconds
from django_jobs.management.jobs.verb import ERROR, NOTHING_MATCHED, USAGE, Output, Verb, stop
from django_jobs.ports.broker import CancelAnswer

SAID: Final = {
    CancelAnswer.CANCELLED: "cancelled: it never starts",
    CancelAnswer.REQUESTED: "requested: a worker holds it, and it does not run again",
    CancelAnswer.TOO_LATE: "too late: it has ended",
    CancelAnswer.UNKNOWN: "unknown: nobody knows this id; a job that arrives with it will not start",
}
LIVE: Final = (State.SCHEDULED, State.QUEUED, State.RETRYING, State.RUNNING)

ENDED: Final = "requested: a worker holds it, and ends it within seconds"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", help="The ids of the jobs; or else say by the options which jobs are meant.")
    parser.add_argument("--queue", help="Jobs of this queue.")
    parser.add_argument("--task", help="Jobs of the task with this name.")
    parser.add_argument("--status", choices=[state.value for state in LIVE], help="Jobs in this state.")
    parser.add_argument(
        "--older-than", type=duration_seconds, metavar="AGE", help="Jobs enqueued longer ago, as 90s, 30m, 12h or 7d."
    )
    parser.add_argument("--unique-key", metavar="KEY", help="The job of --task that has this unique key.")
    parser.add_argument("--running", action="store_true", help="Also ask those to end that run.")
    parser.add_argument("--terminate", action="store_true", help="End those that run, too.")
    parser.add_argument("--dry-run", action="store_true", help="Only say how many there are.")
    parser.add_argument("--yes", action="store_true", help="Do not ask before cancelling by options.")


def run(options: Mapping[str, Any], output: Output) -> None:
    chosen = Chosen(
        queue=options["queue"],
        task=options["task"],
        state=State(options["status"]) if options["status"] else None,
        older_than_seconds=options["older_than"],
        unique_key=options["unique_key"],
        running=options["running"] or (options["terminate"] and not options["id"]),
        terminate=options["terminate"] and not options["id"],
    )
    if options["id"]:
        if chosen != Chosen() or options["dry_run"]:
            stop("Give ids, or options that say which jobs are meant, not both.", USAGE)
        _cancel_by_id(options["id"], output, terminate=options["terminate"])
    else:
        if chosen.is_everything:
            stop(
                "Which jobs? Give ids, or --queue, --task, --status or --older-than. All: jobs purge --all.",
                USAGE,
            )
        if chosen.unique_key is not None and chosen.task is None:
            stop("--unique-key is a key of one task: give --task too.", USAGE)
        _cancel_chosen(chosen, options, output)


def _cancel_by_id(job_ids: list[str], output: Output, *, terminate: bool) -> None:
    answers = {job_id: AsyncResult[Any](job_id).cancel(terminate=terminate) for job_id in dict.fromkeys(job_ids)}
    if output.as_json:
        output.document({"answers": {job_id: answer.value for job_id, answer in answers.items()}})
    else:
        said = SAID | {CancelAnswer.REQUESTED: ENDED} if terminate else SAID
        output.lines(f"{job_id}  {said[answer]}" for job_id, answer in answers.items())
    left = [answer for answer in answers.values() if answer in {CancelAnswer.TOO_LATE, CancelAnswer.UNKNOWN}]
    if left:
        code = NOTHING_MATCHED if len(left) == len(answers) else ERROR
        stop(f"{len(left)} of {len(answers)} jobs could not be cancelled.", code)


def _cancel_chosen(chosen: Chosen, options: Mapping[str, Any], output: Output) -> None:
    if options["dry_run"] or not options["yes"]:
        waiting, running = count_chosen(chosen)
        if options["dry_run"] and output.as_json:
            output.document({"waiting": waiting, "running": running})
        elif not output.as_json and waiting + running:
            output.lines([f"{waiting} jobs wait and {running} run that fit."])
        if not waiting + running:
            stop("No job fits.", NOTHING_MATCHED)
        if options["dry_run"]:
            return
        _ask(output)
    counts = cancel_chosen(chosen)
    if output.as_json:
        output.document(counts._asdict())
    else:
        asked = f" {counts.requested} are held by workers, and were asked to end." if counts.requested else ""
        late = f" {counts.too_late} had ended before." if counts.too_late else ""
        output.lines([f"{counts.cancelled} jobs were cancelled.{asked}{late}"])
    if not any(counts):
        stop("No job fits.", NOTHING_MATCHED)


def _ask(output: Output) -> None:
    """Stop unless somebody says yes: a slip here ends work of others."""
    if output.as_json or not sys.stdin.isatty():
        stop("Nothing was cancelled: say --yes where nobody can be asked, or --dry-run to see how many.", USAGE)
    if input("Cancel them? [y/N] ").strip().lower() not in {"y", "yes"}:
        stop("Nothing was cancelled.", ERROR)


VERB = Verb(
    name="cancel", help="Cancel jobs by id, or by queue, task, state and age.", add_arguments=add_arguments, run=run
)
