"""`jobs pause` and `jobs resume`: stop a queue or a task from being claimed, and let it go on."""

from __future__ import annotations

import getpass
import socket
from argparse import ArgumentParser
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django_jobs.client import pausing
from django_jobs.connections import connections
from django_jobs.core.pause import BY_MAX_LENGTH, Pause, Target
from django_jobs.management.jobs.text import iso
from django_jobs.management.jobs.verb import NOTHING_MATCHED, USAGE, Output, Verb, stop
from django_jobs.registry import registry


def pause_document(pause: Pause) -> dict[str, Any]:
    """Return a pause as JSON shows it."""
    return {
        "kind": pause.kind,
        "name": pause.name,
        "since": iso(pause.since_us),
        "by": pause.by or None,
        "reason": pause.reason or None,
    }


def add_target(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--queue", help="The queue with this name.")
    which.add_argument("--task", help="The task with this name, in whatever queue its jobs are.")


def add_pause_arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--reason", default="", help="Why, for those who will wonder.")
    parser.add_argument("--force", action="store_true", help="Also a name that nothing here knows.")


def run_pause(options: Mapping[str, Any], output: Output) -> None:
    target = Target.of(options["queue"], options["task"])
    if not options["force"]:
        _refuse_unknown(target, "jobs pause --force pauses it all the same.")
    try:
        changed = pausing.pause(target, reason=options["reason"], by=_whoever_runs_this())
    except ValueError as error:
        stop(str(error), USAGE)
    if output.as_json:
        output.document({"changed": changed, "paused": [pause_document(pause) for pause in pausing.paused()]})
        return
    if changed:
        output.lines([f"{target} is paused: no more jobs of it are claimed. Those that are claimed go on."])
    else:
        known = [pause for pause in pausing.paused() if pause.target == target]
        output.lines([*(f"It was paused before: {pause}." for pause in known), "Nothing was changed."])


def run_resume(options: Mapping[str, Any], output: Output) -> None:
    target = Target.of(options["queue"], options["task"])
    try:
        changed = pausing.resume(target)
    except ValueError as error:
        stop(str(error), USAGE)
    if not changed:
        _refuse_unknown(target, "jobs stats shows what is paused.")
    if output.as_json:
        output.document({"changed": changed, "paused": [pause_document(pause) for pause in pausing.paused()]})
    else:
        output.lines([f"{target} goes on." if changed else f"{target} was not paused. Nothing was changed."])


def _refuse_unknown(target: Target, advice: str) -> None:
    """Stop at a name that neither the code, the settings nor any live job has: most likely it is misspelt."""
    known = _queues() if target.kind == "queue" else set(registry.names())
    queue, task = (target.name, None) if target.kind == "queue" else (None, target.name)
    if target.name in known or connections.broker.list(queue=queue, task=task, limit=1):
        return
    close = get_close_matches(target.name, sorted(known), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    stop(
        f"Nothing here knows the {target.kind} {target.name!r}: no task, setting or live job names it.{hint} "
        f"Nothing was changed; {advice}",
        NOTHING_MATCHED,
    )


def _queues() -> set[str]:
    """Return the queues that tasks and settings name; a function among ROUTES may know others."""
    policy = connections.policy
    given = {spec.options_over(policy.task_defaults).queue for spec in registry}
    return {policy.default_queue, *policy.queues, *(queue for queue in given if queue)}


def _whoever_runs_this() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:BY_MAX_LENGTH]


PAUSE = Verb(
    name="pause",
    help="Pause a queue or a task: no more jobs of it are claimed.",
    add_arguments=add_pause_arguments,
    run=run_pause,
)
RESUME = Verb(name="resume", help="Let a paused queue or task go on.", add_arguments=add_target, run=run_resume)
