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

RACES = int(os.environ.get("CANCEL_RACES", "60"))
AT_ONCE = 24
LONG_SHARE = 0.15
"""Of the jobs, those that run long enough for a worker to hear of their cancel."""
ANSWERED = {CancelAnswer.CANCELLED, CancelAnswer.REQUESTED, CancelAnswer.TOO_LATE}


class Race(NamedTuple):
    """One job and the cancel that is on its way to it."""

    result: AsyncResult[str]
    key: str
    terminate: bool
    cancel_at: float


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
    on_their_way: list[tuple[float, int]] = []
    races: list[Race] = []
    answers: list[CancelAnswer] = []
    while len(races) < RACES or on_their_way:
        while len(races) < RACES and len(on_their_way) < AT_ONCE:
            races.append(_start(len(races), randomness))
            heapq.heappush(on_their_way, (races[-1].cancel_at, len(races) - 1))
            answers.append(CancelAnswer.UNKNOWN)
        cancel_at, number = heapq.heappop(on_their_way)
        time.sleep(max(0.0, cancel_at - time.monotonic()))  # the moment of the race
        answers[number] = races[number].result.cancel(terminate=races[number].terminate)

    ends = _ends(races)

    events = Counter((entry.key, entry.event) for entry in site.ledger())
    stories = Counter(
        _story(race, answer, ends[race.result.id], events) for race, answer in zip(races, answers, strict=True)
    )
    assert not [story for story in stories if story.startswith("WRONG")], stories
    assert set(answers) <= ANSWERED
    assert connections.broker.stats() == []
    sys.stderr.write(f"\n{'Redis' if store else site.database.kind}: {dict(stories.most_common())}\n")


def _start(number: int, randomness: random.Random) -> Race:
    is_long = randomness.random() < LONG_SHARE
    seconds = randomness.uniform(0.2, 1.5) if is_long else randomness.uniform(0.0, 0.03)
    key = f"r{number}"
    result = cancelled.race.delay(key, seconds)
    wait = randomness.uniform(0.0, seconds + (0.2 if is_long else 0.05))
    return Race(result, key, randomness.random() < 0.6, time.monotonic() + wait)


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
