"""`jobs workers`: which workers there are, and when they last said so."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django_jobs.client.control import WorkerHandle, workers
from django_jobs.management.jobs.text import age, iso, table
from django_jobs.management.jobs.verb import NOTHING_MATCHED, Output, Verb, stop


def add_arguments(parser: ArgumentParser) -> None:
    """Take no arguments."""


def run(options: Mapping[str, Any], output: Output) -> None:
    known = workers()
    if output.as_json:
        output.document({"workers": [_document(worker) for worker in known]})
    elif known:
        now = time.time()
        rows = [
            (
                worker.name,
                worker.state.value,
                str(worker.pid),
                _slots(worker),
                str(worker.running),
                age(now - worker.started_us / 1_000_000),
                f"{age(max(0.0, now - worker.renewed_us / 1_000_000))} ago",
            )
            for worker in known
        ]
        output.lines(table(("WORKER", "STATE", "PID", "SLOTS", "RUNS", "UP", "RENEWED"), rows, flexible=0))
    if not known:
        stop("No worker is known to the broker. Start one: manage.py runworker.", NOTHING_MATCHED)


def _document(worker: WorkerHandle) -> dict[str, Any]:
    return {
        "session": worker.session,
        "worker": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.state.value,
        "started_at": iso(worker.started_us),
        "renewed_at": iso(worker.renewed_us),
        "details": dict(worker.details),
    }


def _slots(worker: WorkerHandle) -> str:
    """Return what it runs at a time, and its bounds where it scales itself."""
    text = str(worker.details.get("slots", ""))
    bounds = worker.details.get("autoscale")
    return f"{text} ({bounds[0]}-{bounds[1]})" if bounds else text


VERB = Verb(name="workers", help="List the workers that the broker knows.", add_arguments=add_arguments, run=run)
