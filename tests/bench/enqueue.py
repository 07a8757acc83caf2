"""`python -m tests.bench.enqueue VERB ...`: the process that enqueues by the project's own API."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import django
import redis
from django.apps import apps

from django_jobs.connections import connections
from tests.bench import enqueuing, jobs


class ProjectEnqueuer:
    """Enqueues as a project does, in autocommit."""

    def one(self, number: int) -> None:
        jobs.noop.delay(number)

    def many(self, numbers: Iterable[int]) -> None:
        jobs.noop.delay_many([((number,), {}) for number in numbers])

    def stamp(self, sent_ns: int) -> None:
        jobs.stamp.delay(sent_ns)

    def stored(self) -> int:
        policy = connections.policy
        place = policy.result_store or ""
        if not place.startswith("redis"):
            return apps.get_model("django_jobs", "JobResult")._default_manager.count()
        with redis.Redis.from_url(place) as client:
            return sum(1 for _ in client.scan_iter(f"{{{policy.namespace}}}:result:*", 1000))


def drop(enqueuer: enqueuing.Enqueuer, count: str) -> dict[str, Any]:
    """Enqueue jobs that keep no result."""
    for numbers in enqueuing.steps(int(count)):
        jobs.dropped.delay_many([((number,), {}) for number in numbers])
    return {}


def block(enqueuer: enqueuing.Enqueuer, count: str) -> dict[str, Any]:
    """Enqueue jobs of which one starts, and all others wait for tomorrow."""
    for numbers in enqueuing.steps(int(count)):
        jobs.blocked.delay_many([((number,), {}) for number in numbers])
    return {}


if __name__ == "__main__":
    django.setup()
    enqueuing.VERBS.update(drop=drop, block=block)
    enqueuing.main(ProjectEnqueuer(), sys.argv[1:])
