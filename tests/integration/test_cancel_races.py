"""Cancels that race the ends of jobs: whatever comes first, status, result, effect and answer tell one story.

`CANCEL_RACES=2000 pytest -s tests/integration/test_cancel_races.py` races 2,000 times on each store, and tells what it
has counted.
"""

from __future__ import annotations

import heapq
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from django_jobs import AsyncResult, State
from django_jobs.connections import connections
from django_jobs.core.outcome import StoredResult
from django_jobs.core.serializer import decode_value
from django_jobs.ports.broker import CancelAnswer
from tests.backends.redis.server import Server
from tests.integration.harness import Site, until
from tests.integration.site import cancelled
from tests.integration.site.ledger import Entry, parse

RACES = int(os.environ.get("CANCEL_RACES", "60"))
AT_ONCE = 6
LONG_SHARE = 0.15
"""Of the jobs, those that run long enough for a worker to hear of their cancel."""
EARLY_SHARE = 0.25
"""Of the cancels, those that race the start; the others race the end, or come somewhere between."""
ANSWERED = {CancelAnswer.CANCELLED, CancelAnswer.REQUESTED, CancelAnswer.TOO_LATE}


class Race(NamedTuple):
    """One job, and when its cancel is sent: so many seconds after its enqueue, or after its start."""

    result: AsyncResult[str]
    key: str
    terminate: bool
    is_early: bool
    after_seconds: float


@pytest.fixture(params=["database", "redis"])
def store(request: pytest.FixtureRequest, site: Site, settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    if request.param == "database":
        yield {}
        return
    if site.database.kind != "sqlite":
        pytest.skip("Redis once is enough")
    server = Server(tmp_path)
    server.start()
    stores = {"BROKER": server.url, "RESULT_STORE": server.url}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **stores}
    yield stores
    connections.broker.close()
    server.stop()


@pytest.mark.timeout(120 + RACES)
def test_every_race_ends_in_one_story(site: Site, store: dict[str, Any]) -> None:
    randomness = random.Random(RACES)
    site.worker("-c", "4", settings=store).ready()
    due: list[tuple[float, int]] = []
    races: list[Race] = []
    answers: dict[int, CancelAnswer] = {}
    starts = Starts(site.ledger_path)
    while len(answers) < RACES:
        while len(races) < RACES and len(races) - len(answers) < AT_ONCE:
            races.append(_start(len(races), randomness))
            if races[-1].is_early:
                heapq.heappush(due, (time.monotonic() + races[-1].after_seconds, len(races) - 1))
        for entry in starts.new():
            number = int(entry.key.removeprefix("r"))
            if not races[number].is_early:
                heapq.heappush(due, (entry.at + races[number].after_seconds, number))
        while due and due[0][0] <= time.monotonic():
            _, number = heapq.heappop(due)
            answers[number] = races[number].result.cancel(terminate=races[number].terminate)
        time.sleep(0.0005)  # until the next moment of a race

    ends = _ends(races)

    events = Counter((entry.key, entry.event) for entry in site.ledger())
    stories = Counter(_story(race, answers[number], ends[race.result.id], events) for number, race in enumerate(races))
    assert not [story for story in stories if story.startswith("WRONG")], stories
    assert set(answers.values()) <= ANSWERED
    assert connections.broker.stats() == []
    sys.stderr.write(f"\n{'Redis' if store else site.database.kind}: {dict(stories.most_common())}\n")


def _start(number: int, randomness: random.Random) -> Race:
    is_long, is_early = randomness.random() < LONG_SHARE, randomness.random() < EARLY_SHARE
    seconds = randomness.uniform(0.2, 1.5) if is_long else randomness.uniform(0.0, 0.03)
    after = seconds + randomness.uniform(-0.02, 0.02)
    if is_early:
        after = randomness.uniform(0.0, 0.02)
    elif is_long and randomness.random() < 0.5:
        after = randomness.uniform(0.0, seconds)
    key = f"r{number}"
    return Race(cancelled.race.delay(key, seconds), key, randomness.random() < 0.6, is_early, after)


class Starts:
    """Reads the first starts of jobs off the end of the ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._seen: set[str] = set()

    def new(self) -> Iterator[Entry]:
        with suppress(FileNotFoundError), self._path.open() as ledger:
            ledger.seek(self._offset)
            for line in ledger:
                if not line.endswith("\n"):
                    return
                self._offset += len(line)
                entry = parse(line.rstrip("\n"))
                if entry.event == "start" and entry.key not in self._seen:
                    self._seen.add(entry.key)
                    yield entry


def _ends(races: list[Race]) -> dict[str, StoredResult]:
    ids = [race.result.id for race in races]
    found: dict[str, StoredResult] = {}

    def all_ended() -> bool:
        missing = [job_id for job_id in ids if job_id not in found]
        found.update(connections.results.load_many(missing[:500]))
        return len(found) == len(ids)

    until(all_ended, 120, what=lambda: f"the end of {connections.broker.list()}")
    return found


def _story(race: Race, answer: CancelAnswer, end: StoredResult, events: Counter[tuple[str, str]]) -> str:
    """Return what happened, in words that count; beginning with WRONG where two sides disagree."""
    started, done, undone = (events[race.key, name] for name in ("start", "done", "undone"))
    told = f"{'terminate' if race.terminate else 'cancel'} was {answer}, {end.status}, {started=} {done=} {undone=}"
    succeeded = end.status is State.SUCCEEDED and decode_value(end.result) == race.key and (done, undone) == (1, 0)
    never_ran = end.status is State.CANCELLED and not started and not end.result
    left = end.status is State.CANCELLED and undone == 1 and done <= 1 and not end.result
    match answer:
        case CancelAnswer.CANCELLED:
            fits = never_ran
        case CancelAnswer.TOO_LATE:
            fits = succeeded
        case _:
            fits = succeeded or never_ran or (left and race.terminate)
    one_run = started <= 1 and (end.failures, end.crashes) == (0, 0)
    return told if fits and one_run else f"WRONG: {told} {end}"
