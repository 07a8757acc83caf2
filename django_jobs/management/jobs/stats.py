"""`jobs stats`: how much waits in each queue, and for how long."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

import msgspec

from django_jobs.connections import connections
from django_jobs.management.jobs.text import age, table
from django_jobs.management.jobs.verb import Output, Verb

COLUMNS = ("queued", "running", "scheduled", "retrying", "parked")


def add_arguments(parser: ArgumentParser) -> None:
    """Take no arguments: every queue that holds a job is counted."""


def run(options: Mapping[str, Any], output: Output) -> None:
    queues = sorted(connections.broker.stats(), key=lambda stats: stats.queue)
    if output.as_json:
        output.document(
            {"broker": connections.broker.describe(), "queues": [msgspec.to_builtins(row) for row in queues]}
        )
        return
    output.lines([f"Broker: {connections.broker.describe()}"])
    if not queues:
        output.lines(["No job waits or runs."])
        return
    rows = [
        (stats.queue, *(str(getattr(stats, name)) for name in COLUMNS), age(stats.oldest_seconds)) for stats in queues
    ]
    output.lines(table(("QUEUE", *(name.upper() for name in COLUMNS), "OLDEST"), rows, flexible=0))


VERB = Verb(name="stats", help="Count the live jobs of each queue.", add_arguments=add_arguments, run=run)
