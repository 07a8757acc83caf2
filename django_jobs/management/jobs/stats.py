"""`jobs stats`: how much waits in each queue, for how long, and what is paused."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

import msgspec

from django_jobs.client.pausing import paused
from django_jobs.connections import connections
from django_jobs.management.jobs.pausing import pause_document
from django_jobs.management.jobs.text import age, table
from django_jobs.management.jobs.verb import Output, Verb
from django_jobs.ports.broker import QueueStats

COLUMNS = ("queued", "running", "scheduled", "retrying", "parked")


def add_arguments(parser: ArgumentParser) -> None:
    """Take no arguments: every queue that holds a job or is paused is shown."""


def run(options: Mapping[str, Any], output: Output) -> None:
    pauses = paused()
    names = {pause.name for pause in pauses if pause.kind == "queue"}
    queues = {stats.queue: stats for stats in connections.broker.stats()}
    queues |= {name: QueueStats(queue=name) for name in names - set(queues)}
    shown = [queues[name] for name in sorted(queues)]
    if output.as_json:
        output.document(
            {
                "broker": connections.broker.describe(),
                "queues": [{**msgspec.to_builtins(stats), "paused": stats.queue in names} for stats in shown],
                "paused": [pause_document(pause) for pause in pauses],
            }
        )
        return
    output.lines([f"Broker: {connections.broker.describe()}"])
    if shown:
        headers = ("QUEUE", *(name.upper() for name in COLUMNS), "OLDEST")
        output.lines(table(headers, [_row(stats) for stats in shown], flexible=0))
    else:
        output.lines(["No job waits or runs."])
    output.lines(f"Paused: {pause}." for pause in pauses)


def _row(stats: QueueStats) -> tuple[str, ...]:
    return stats.queue, *(str(getattr(stats, name)) for name in COLUMNS), age(stats.oldest_seconds)


VERB = Verb(
    name="stats",
    help="Count the live jobs of each queue, and say what is paused.",
    add_arguments=add_arguments,
    run=run,
)
