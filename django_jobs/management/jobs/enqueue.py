"""`jobs enqueue`: enqueue a job by its task's name, and wait for it if asked."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from django_jobs.client.task import task_named
from django_jobs.client.terms import CallOptions
from django_jobs.core.serializer import from_plain
from django_jobs.exceptions import EnqueueError, InvalidMessage, ResultTimeout
from django_jobs.management.jobs.documents import job_document
from django_jobs.management.jobs.show import describe, find
from django_jobs.management.jobs.verb import ERROR, USAGE, Output, Verb, stop


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("task", help="The task's name, as shop.jobs.send_digest.")
    parser.add_argument("--arg", action="append", default=[], metavar="JSON", help="The next positional argument.")
    parser.add_argument("--kwarg", action="append", default=[], metavar="NAME=JSON", help="An argument by name.")
    parser.add_argument("--queue")
    parser.add_argument("--priority", type=int, help="-100 to 100, higher first.")
    parser.add_argument("--countdown", type=float, metavar="SECONDS", help="Do not start before so many seconds.")
    parser.add_argument("--eta", metavar="INSTANT", help="Do not start before, as 2026-12-24T18:00+01:00.")
    parser.add_argument("--expires", type=float, metavar="SECONDS", help="Drop it if it has not started by then.")
    parser.add_argument("--id", dest="task_id", help="An id of your own: the same id is the same job.")
    parser.add_argument("--wait", action="store_true", help="Wait for its end; exit code 1 unless it succeeds.")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="With --wait: not longer than this.")


def run(options: Mapping[str, Any], output: Output) -> None:
    args = [_value(text, "--arg") for text in options["arg"]]
    kwargs = dict(_named(text) for text in options["kwarg"])
    given = {name: options[name] for name in ("queue", "priority", "countdown", "expires", "task_id")}
    given["eta"] = _instant(options["eta"])
    try:
        job = task_named(options["task"]).apply_async(args, kwargs, **cast(CallOptions, given))
    except EnqueueError as error:
        stop(str(error), USAGE)
    if options["wait"]:
        try:
            job.get(options["timeout"], propagate=False)
        except ResultTimeout as error:
            stop(str(error), ERROR)
    found = find(job.id)
    if output.as_json:
        output.document({"job": job_document(found) if found else None, "id": job.id})
    elif options["wait"] and found:
        output.lines(describe(job_document(found)))
    else:
        output.lines([job.id])
    if options["wait"] and not job.successful():
        stop(f"Job {job.id} has {job.status or 'ended without a record'}.", ERROR)


def _value(text: str, option: str) -> Any:
    try:
        return from_plain(json.loads(text))
    except (ValueError, RecursionError, InvalidMessage) as error:
        stop(f"{option} {text[:80]}: {error}. It is JSON; a string needs its quotes: {option} '\"text\"'.", USAGE)


def _named(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        stop(f"--kwarg {text[:80]}: it is NAME=JSON, as --kwarg customer=42.", USAGE)
    return name, _value(value, f"--kwarg {name}=")


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        stop(f"--eta {text}: {error}. It is ISO 8601, as 2026-12-24T18:00+01:00.", USAGE)


VERB = Verb(name="enqueue", help="Enqueue a job of a task.", add_arguments=add_arguments, run=run)
