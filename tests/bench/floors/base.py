"""What all raw loops share: claim a batch, run it, store its results, again. No priorities, retries, fences or rescue.

Two durable steps per batch: one that leaves the jobs visible as claimed, so that a crash does not lose them, and one
that deletes them and inserts their results.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tests.bench import ticks


def noop(number: int) -> int:
    ticks.tick()
    return number


FUNCTIONS: Final[dict[str, Callable[[int], Any]]] = {"noop": noop, "stamp": ticks.stamp}
POLL_SECONDS: Final = 0.001
"""Between two looks of an idle loop, where the store cannot wake it: the best latency that looking can give."""


class Floor(ABC):
    """One connection to the store, and the statements of the loop."""

    @abstractmethod
    def __init__(self, url: str) -> None:
        """Connect."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the tables."""

    @abstractmethod
    def insert(self, bodies: Sequence[str]) -> None:
        """Enqueue, in one statement, and wake a loop that waits."""

    @abstractmethod
    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        """Take (id, body) of at most `limit` jobs, oldest first."""

    @abstractmethod
    def finish(self, ended: Sequence[tuple[int, str]]) -> None:
        """Delete the jobs and insert their (id, result)."""

    @abstractmethod
    def wait(self) -> None:
        """Return when there may be jobs."""

    @abstractmethod
    def stored(self) -> int:
        """Return how many results there are."""


class FloorEnqueuer:
    """What the bench enqueues with, over a raw loop's connection."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def one(self, number: int) -> None:
        self._floor.insert([body("noop", number)])

    def many(self, numbers: Iterable[int]) -> None:
        self._floor.insert([body("noop", number) for number in numbers])

    def stamp(self, sent_ns: int) -> None:
        self._floor.insert([body("stamp", sent_ns)])

    def stored(self) -> int:
        return self._floor.stored()


def body(function: str, argument: int) -> str:
    return json.dumps({"function": function, "args": [argument]})


def work(floor: Floor, batch: int) -> None:
    """Run jobs for ever."""
    while True:
        claimed = floor.claim(batch)
        if not claimed:
            floor.wait()
            continue
        ended = []
        for job_id, text in claimed:
            order = json.loads(text)
            ended.append((job_id, json.dumps(FUNCTIONS[order["function"]](*order["args"]))))
        floor.finish(ended)
