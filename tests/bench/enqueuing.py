"""The process that enqueues: says `ready`, waits for a line, does one verb, answers with JSON, ends when stdin closes.

Between `ready` and the line the runner takes its reading; the connection stays open until the next one is taken.

    fill N             enqueue N jobs in steps of 1,000
    drop N             the same as fill, with jobs that keep no result (not the raw loop)
    one N, many N      the same, timed: one by one, or in steps of 1,000
    stamp N SECONDS    one job each so many seconds that notes how long it took to start
    feed N             enqueue in steps of 1,000 so that about N jobs wait, until stdin closes; N were filled in before
    block N            enqueue N jobs of which all but one are blocked by a limit (ours only)
    stored N           wait until N results are stored; answer how many there are
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from tests.bench.ticks import DIRECTORY, Ticks

STEP: Final = 1000
STORED_SECONDS: Final = 20.0
LAST_SECONDS: Final = 10.0
"""At the end of a feed, for which it tells how many jobs waited."""


class Enqueuer(Protocol):
    """One side's way to enqueue."""

    def one(self, number: int) -> None: ...

    def many(self, numbers: Iterable[int]) -> None: ...

    def stamp(self, sent_ns: int) -> None: ...

    def stored(self) -> int: ...


def main(enqueuer: Enqueuer, arguments: Sequence[str]) -> None:
    """Do one verb."""
    verb, *numbers = arguments
    enqueuer.stored()  # connected, before anything is timed
    answer_line("ready")
    if not sys.stdin.readline():
        return
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = VERBS[verb](enqueuer, *numbers)
    answer |= {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - began_cpu}
    answer_line(json.dumps(answer))
    sys.stdin.read()


def answer_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def many(enqueuer: Enqueuer, count: str) -> dict[str, Any]:
    for numbers in steps(int(count)):
        enqueuer.many(numbers)
    return {}


def one(enqueuer: Enqueuer, count: str) -> dict[str, Any]:
    for number in range(int(count)):
        enqueuer.one(number)
    return {}


def stamp(enqueuer: Enqueuer, count: str, seconds: str) -> dict[str, Any]:
    due = time.monotonic()
    for _ in range(int(count)):
        due += float(seconds)
        enqueuer.stamp(time.monotonic_ns())
        time.sleep(max(0.0, due - time.monotonic()))
    return {}


def feed(enqueuer: Enqueuer, target: str) -> dict[str, Any]:
    """Return the least and the most that waited in the last 10 s."""
    ticks = Ticks(Path(os.environ[DIRECTORY]))
    sent = int(target)
    looks: list[tuple[float, int]] = []
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        waiting = sent - ticks.count()
        looks.append((time.monotonic(), waiting))
        if waiting < int(target):
            enqueuer.many(range(sent, sent + STEP))
            sent += STEP
    last = [waiting for at, waiting in looks if at > looks[-1][0] - LAST_SECONDS]
    return {"least_waiting": min(last), "most_waiting": max(last)}


def stored(enqueuer: Enqueuer, expected: str) -> dict[str, Any]:
    deadline = time.monotonic() + STORED_SECONDS
    while (found := enqueuer.stored()) < int(expected) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {"stored": found}


def steps(count: int) -> Iterator[range]:
    for start in range(0, count, STEP):
        yield range(start, min(count, start + STEP))


VERBS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "fill": many,
    "many": many,
    "one": one,
    "stamp": stamp,
    "feed": feed,
    "stored": stored,
}
