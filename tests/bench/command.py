"""The command `python -m tests.bench`: what to measure, where to write it."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import machine
from tests.bench.errors import BenchError
from tests.bench.measures import MEASURES
from tests.bench.peers import PEERS
from tests.bench.report import place_in, put_into
from tests.bench.runs import Options, Results, Run, repeat
from tests.bench.sides import SIDES
from tests.bench.stores import STORES
from tests.bench.stores.base import Store

FORMAT_VERSION = 1
NOISY_PERCENT = 25.0
"""Of one CPU. Interrupts, of disk and loopback, are 5 to 12 of them on a quiet machine."""


def main(arguments: Sequence[str]) -> int:
    """Measure; return the exit code: 0, or 1 where a run has failed. Wrong usage ends with 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = list(MEASURES) if "all" in given.measures else list(dict.fromkeys(given.measures))
    stores = _stores(parser, given.store)
    if given.peer and "redis" not in {store.kind for store in stores}:
        parser.error("--peer is for Redis, which is not among the stores: peers are measured there, and nowhere else.")
    if given.peer and not any(MEASURES[name].with_peers for name in names):
        parser.error(f"--peer is for {', '.join(name for name in MEASURES if MEASURES[name].with_peers)}.")
    options = Options(
        reps=given.reps,
        jobs=given.jobs,
        deep_jobs=given.deep_jobs,
        children=given.children,
        seconds=given.seconds,
    )
    said = f"python -m tests.bench {shlex.join(arguments)}"
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all is dropped and ended
    try:
        _add_peers(stores, given.peer or ())
        _measure(names, stores, options, said, given.json, given.page)
    except BenchError as error:
        _say(str(error))
        return 1
    return 0


def _measure(
    names: Sequence[str],
    stores: Sequence[Store],
    options: Options,
    command: str,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Measure and print, and write each measure's figures as soon as they are there."""
    if page is not None:
        for name in names:
            place_in(page, name)
    described = {store.kind: _describe(store) for store in stores}
    report: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "command": command,
        "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.machine(),
        "software": machine.software(),
        "stores": described,
        "options": asdict(options),
        "runs": [],
    }
    for name in names:
        measure = MEASURES[name]
        measured = [store for store in stores if name not in store.unmeasured]
        results = repeat(measure, measured, options, _say)
        text = f"{measure.table(results)}\n\n{_source(report, results, options.reps or measure.reps)}"
        sys.stdout.write(f"\n## {measure.title}\n\n{text}\n\n    {command}\n")
        sys.stdout.flush()
        report["runs"] += [_plain(run) for run in results.runs]
        if json_file is not None:
            json_file.write_text(json.dumps(report, indent=1) + "\n")
        if page is not None:
            put_into(page, name, text)


def _add_peers(stores: Sequence[Store], peers: Sequence[str]) -> None:
    """Install the peers and let them be measured on Redis too."""
    for name in dict.fromkeys(peers):
        _say(f"Measured beside {PEERS[name].install()}.")
        SIDES[name] = PEERS[name]
        for store in stores:
            if store.kind == "redis":
                store.sides = (*store.sides, name)


def _source(report: dict[str, Any], results: Results, reps: int) -> str:
    """Return what stands under a table: when, with what, and whether something else was at work."""
    used = "; ".join(report["stores"][store.kind] for store in results.stores)
    line = (
        f"{report['began_at'][:10]}, {reps} run{'s' * (reps > 1)}. {report['machine']}. {report['software']}. {used}."
    )
    worst = max(run.figures["foreign_percent"] for run in results.runs)
    if worst < NOISY_PERCENT:
        return line
    return f"{line} **Noisy**: other processes used up to {worst:.0f} % of a CPU meanwhile."


def _describe(store: Store) -> str:
    with tempfile.TemporaryDirectory() as directory, store.new_place(Path(directory)) as place:
        return ", ".join(filter(None, (store.describe(place), machine.driver(store.kind))))


def _plain(run: Run) -> dict[str, Any]:
    """Return a run for JSON, which has no word for what is not a number."""
    figures = {name: None if math.isnan(value) else value for name, value in run.figures.items()}
    return {**asdict(run), "figures": figures}


def _stores(parser: argparse.ArgumentParser, given: Sequence[str] | None) -> list[Store]:
    missing = {kind: store.missing() for kind, store in STORES.items() if given is None or kind in given}
    for kind, reason in missing.items():
        if reason and given is not None:
            parser.error(f"--store {kind}: {reason}")
        if reason:
            _say(f"Not measured: {reason}")
    return [STORES[kind] for kind, reason in missing.items() if not reason]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure django_jobs in the current environment, beside the raw loop of each store.",
    )
    parser.add_argument("measures", nargs="+", choices=[*MEASURES, "all"], metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument(
        "--store", action="append", choices=list(STORES), help="again for more; without it all there are"
    )
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="measure this one on Redis too")
    parser.add_argument("--reps", type=_positive, help="runs of each; by default what the measure asks for")
    parser.add_argument("--jobs", type=_positive, default=20_000, help="jobs of a run (20,000)")
    parser.add_argument("--deep-jobs", type=_positive, default=200_000, help="jobs that wait, in growth (200,000)")
    parser.add_argument("--children", type=_positive, default=2, help="processes that run jobs (2)")
    parser.add_argument("--seconds", type=_positive, default=60, help="of each half of pinned (60)")
    parser.add_argument("--json", type=Path, help="write all figures of all runs to this file")
    parser.add_argument("--page", type=Path, help="put the tables into this page, between its figures comments")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is a whole number from 1 on, not {text!r}")
    return int(text)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
