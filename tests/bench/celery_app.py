"""The same two jobs as a Celery project has them, and the process that enqueues them; runs in Celery's environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import redis
from celery import Celery  # type: ignore[import-not-found]  # installed by the bench, elsewhere

from tests.bench import enqueuing, ticks

os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # which Celery would take for a Django project of its own
URL = json.loads(os.environ["BENCH_JOBS"])["BROKER"]
app = Celery("tests.bench.celery_app", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")  # type: ignore[untyped-decorator]  # Celery has no types
def noop(number: int) -> int:
    ticks.tick()
    return number


@app.task(name="dropped", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def dropped(number: int) -> int:
    ticks.tick()
    return number


@app.task(name="stamp")  # type: ignore[untyped-decorator]  # Celery has no types
def stamp(sent_ns: int) -> None:
    ticks.stamp(sent_ns)


class CeleryEnqueuer:
    """Celery has no call for many jobs."""

    def __init__(self) -> None:
        self._redis = redis.Redis.from_url(URL)

    def one(self, number: int) -> None:
        noop.delay(number)

    def many(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            noop.delay(number)

    def stamp(self, sent_ns: int) -> None:
        stamp.delay(sent_ns)

    def stored(self) -> int:
        return sum(1 for _ in self._redis.scan_iter("celery-task-meta-*", 1000))


def drop(enqueuer: enqueuing.Enqueuer, count: str) -> dict[str, Any]:
    for number in range(int(count)):
        dropped.delay(number)
    return {}


if __name__ == "__main__":
    enqueuing.VERBS["drop"] = drop
    enqueuing.main(CeleryEnqueuer(), sys.argv[1:])
