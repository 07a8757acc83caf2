"""`jobs workers`: which workers there are, and when they last said so."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django_jobs.connections import connections
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.management.jobs.text import age, iso, table
from django_jobs.management.jobs.verb import NOTHING_MATCHED, Output, Verb, stop


def add_arguments(parser: ArgumentParser) -> None:
    """Take no arguments."""


def run(options: Mapping[str, Any], output: Output) -> None:
    sessions = connections.broker.sessions()
    if output.as_json:
        output.document({"workers": [_document(session) for session in sessions]})
    elif sessions:
        now = time.time()
        rows = [
            (
                session.worker,
                session.state.value,
                str(session.pid),
                _slots(session),
                _running(session),
                age(now - session.started_us / 1_000_000),
                f"{age(max(0.0, now - session.renewed_us / 1_000_000))} ago",
            )
            for session in sessions
        ]
        output.lines(table(("WORKER", "STATE", "PID", "SLOTS", "RUNS", "UP", "RENEWED"), rows, flexible=0))
    if not sessions:
        stop("No worker is known to the broker. Start one: manage.py runworker.", NOTHING_MATCHED)


def _document(session: SessionInfo) -> dict[str, Any]:
    return {
        "session": session.id,
        "worker": session.worker,
        "host": session.host,
        "pid": session.pid,
        "state": session.state.value,
        "started_at": iso(session.started_us),
        "renewed_at": iso(session.renewed_us),
        "details": _details(session.details),
    }


def _slots(session: SessionInfo) -> str:
    """Return what it runs at a time, and its bounds where it scales itself."""
    details = _details(session.details)
    text = str(details.get("slots", ""))
    bounds = details.get("autoscale")
    return f"{text} ({bounds[0]}-{bounds[1]})" if bounds else text


def _running(session: SessionInfo) -> str:
    children = _details(session.details).get("children", ())
    return "" if session.state is SessionState.DEAD else str(sum(child["running"] for child in children))


def _details(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}


VERB = Verb(name="workers", help="List the workers that the broker knows.", add_arguments=add_arguments, run=run)
