"""`jobs control`: tell living workers to be quiet, to go on, to stop, to have so many children, to say what they do."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django_jobs.client.control import ANSWER_SECONDS, OrderAnswer, WorkerHandle, tell_workers, workers
from django_jobs.core.control import Verb as OrderVerb
from django_jobs.management.jobs.verb import ERROR, NOTHING_MATCHED, USAGE, Output, Verb, stop


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("order", choices=[verb.value for verb in OrderVerb], help="What to tell them.")
    parser.add_argument(
        "worker",
        nargs="*",
        help="Names or sessions of workers; `concurrency` takes its number first.",
    )
    parser.add_argument("--all", action="store_true", help="Every living worker.")
    parser.add_argument(
        "--timeout", type=float, default=ANSWER_SECONDS, help=f"Seconds to wait for answers ({ANSWER_SECONDS:g})."
    )


def run(options: Mapping[str, Any], output: Output) -> None:
    verb, names = OrderVerb(options["order"]), list(options["worker"])
    value = _children(names) if verb is OrderVerb.CONCURRENCY else None
    if options["timeout"] < 0:
        stop("--timeout is a number of seconds, 0 or more.", USAGE)
    chosen = _choose(names, every=options["all"])
    answers = tell_workers(chosen, verb, value=value, timeout=options["timeout"])
    if output.as_json:
        output.document({"answers": [_document(answer) for answer in answers]})
    else:
        for answer in answers:
            output.lines([f"{answer.worker.name}  {_said(answer)}"])
    silent = [answer for answer in answers if answer.done is not True]
    if silent and options["timeout"]:
        stop(f"{len(silent)} of {len(answers)} workers did not do it.", ERROR)


def _children(names: list[str]) -> int:
    """Take the number of children off the beginning of `names`."""
    if not names or not names[0].isdecimal() or not int(names[0]):
        stop("`jobs control concurrency` takes the number of children first, then workers: concurrency 4 web-1", USAGE)
    return int(names.pop(0))


def _choose(names: Sequence[str], *, every: bool) -> list[WorkerHandle]:
    if every == bool(names):
        stop("Name workers (see `jobs workers`), or say --all.", USAGE)
    living = [handle for handle in workers() if handle.is_alive]
    if not living:
        stop("No worker lives. Start one: manage.py runworker.", NOTHING_MATCHED)
    unknown = [name for name in names if not any(name in {handle.name, handle.session} for handle in living)]
    if unknown:
        known = ", ".join(handle.name for handle in living)
        stop(
            f"No living worker is called {', '.join(unknown)}; nobody was told anything. There are: {known}.",
            NOTHING_MATCHED,
        )
    return [handle for handle in living if every or handle.name in names or handle.session in names]


def _said(answer: OrderAnswer) -> str:
    return answer.text if answer.done is not False else f"refused: {answer.text}"


def _document(answer: OrderAnswer) -> dict[str, Any]:
    return {
        "worker": answer.worker.name,
        "session": answer.worker.session,
        "done": answer.done,
        "text": answer.text,
    }


VERB = Verb(name="control", help="Tell living workers what to do.", add_arguments=add_arguments, run=run)
