"""`jobs purge`: cancel all waiting jobs of a queue or a task."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django_jobs.client.cancelling import Chosen, cancel_chosen
from django_jobs.core.states import State
from django_jobs.management.jobs.verb import NOTHING_MATCHED, USAGE, Output, Verb, stop

WAITING = (State.SCHEDULED, State.QUEUED, State.RETRYING)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--queue", help="Only jobs of this queue.")
    parser.add_argument("--task", help="Only jobs of the task with this name.")
    parser.add_argument(
        "--status",
        choices=[state.value for state in WAITING],
        help="Only jobs in this state. Without it: all that wait.",
    )
    parser.add_argument(
        "--all", action="store_true", help="All waiting jobs, where neither --queue nor --task is given."
    )


def run(options: Mapping[str, Any], output: Output) -> None:
    if not (options["queue"] or options["task"] or options["all"]):
        stop("Which jobs? Give --queue or --task, or --all for every job that waits.", USAGE)
    status = options["status"]
    chosen = Chosen(queue=options["queue"], task=options["task"], state=State(status) if status else None)
    count = cancel_chosen(chosen).cancelled
    if output.as_json:
        output.document({"cancelled": count})
    else:
        output.lines([f"{count} jobs were cancelled."])
    if not count:
        stop("No waiting job fits.", NOTHING_MATCHED)


VERB = Verb(name="purge", help="Cancel all waiting jobs of a queue or a task.", add_arguments=add_arguments, run=run)
