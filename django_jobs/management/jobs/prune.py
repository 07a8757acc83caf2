"""`jobs prune`: drop old results now, in small steps, as the workers' keepers do by themselves."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection, Mapping
from typing import Any, Final

from django_jobs.connections import connections
from django_jobs.core.states import ENDED, State
from django_jobs.management.jobs.verb import Output, Verb

BATCH: Final = 1000
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=duration_seconds,
        metavar="AGE",
        help="As 90s, 30m, 12h or 7d. Without it: RESULT_TTL_SECONDS and FAILED_RESULT_TTL_SECONDS.",
    )
    parser.add_argument(
        "--status",
        action="append",
        choices=sorted(state.value for state in ENDED),
        help="Only results of this state; may be repeated.",
    )


def run(options: Mapping[str, Any], output: Output) -> None:
    policy = connections.policy
    chosen = {State(value) for value in options["status"] or ENDED}
    groups = (
        (chosen & {State.SUCCEEDED}, policy.result_ttl_seconds),
        (chosen - {State.SUCCEEDED}, policy.failed_result_ttl_seconds),
    )
    older_than = options["older_than"]
    pruned = sum(_prune(states, ttl if older_than is None else older_than) for states, ttl in groups if states)
    if output.as_json:
        output.document({"pruned": pruned})
    else:
        output.lines([f"Dropped {pruned} results."])


def _prune(states: Collection[State], older_than_seconds: float) -> int:
    total = 0
    while count := connections.results.prune(statuses=states, older_than_seconds=older_than_seconds, limit=BATCH):
        total += count
    return total


def duration_seconds(text: str) -> float:
    """Read an age as 90s, 30m, 12h or 7d; a bare number is seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no age; it is a number with s, m, h or d, as 7d.")
    return float(match[1]) * UNITS[match[2] or "s"]


VERB = Verb(name="prune", help="Drop results that are older than their time.", add_arguments=add_arguments, run=run)
