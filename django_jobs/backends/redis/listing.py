"""Pages of live jobs: line by line, each in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.people import PARKED, find, view
from django_jobs.backends.redis.records import split_claim
from django_jobs.core.outcome import JobView
from django_jobs.core.states import State

LINES: Final = {
    "claimed": State.RUNNING, "due": State.SCHEDULED, "gated": State.QUEUED, "parked": State.QUEUED,
    "ready": State.QUEUED, "retrying": State.RETRYING, "suspects": State.QUEUED, "withheld": State.QUEUED,
}  # fmt: skip
"""By name. Jobs move from `ready` to `withheld` while a task is paused: they are seen twice, and never missed."""
STEP: Final = 200


class Place(NamedTuple):
    """Where a page begins: after this job."""

    queue: str
    where: str
    score: str
    id: str


def list_jobs(
    family: Family, *, queue: str | None, state: State | None, task: str | None, parked: bool | None,
    after: str, limit: int,
) -> list[JobView]:  # fmt: skip
    """Return a page of live jobs by (queue, line, place, id)."""
    start = Place(*after.split(" ", 3)) if after else None
    page: list[JobView] = []
    for name in _queues(family, queue):
        for where, states in LINES.items():
            if start is not None and (name, where) < (start.queue, start.where):
                continue
            if state not in {None, states} or parked not in {None, where in PARKED}:
                continue
            begin = start if start is not None and (name, where) == (start.queue, start.where) else None
            for found in _walk(family, name, where, begin):
                if task in {None, found.task} and (found.queue, found.place.split(" ")[1]) == (name, where):
                    page.append(found)
                    if len(page) == limit:
                        return page
    return page


def _queues(family: Family, queue: str | None) -> list[str]:
    if queue is not None:
        return [queue]
    with family.client.errors("list"):
        return sorted(name.decode() for name in family.client.redis.smembers(f"{family.prefix}queues"))


def _walk(family: Family, queue: str, where: str, after: Place | None) -> Iterator[JobView]:
    ids = _claimed(family, after) if where == "claimed" else _waiting(family, queue, where, after)
    step: list[str] = []
    for job_id in ids:
        step.append(job_id)
        if len(step) == STEP:
            yield from _views(family, step)
            step = []
    yield from _views(family, step)


def _views(family: Family, ids: list[str]) -> list[JobView]:
    now_us, found = find(family, ids)
    return [view(job, now_us) for job in found]


def _claimed(family: Family, after: Place | None) -> Iterator[str]:
    redis = family.client.redis
    ids: list[str] = []
    with family.client.errors("list"):
        for session in redis.smembers(f"{family.prefix}holders"):
            for text in redis.hvals(f"{family.prefix}claims:{session.decode()}"):
                ids += [job_id for job_id, _, _ in split_claim(text.decode())]
    return (job_id for job_id in sorted(ids) if after is None or job_id > after.id)


def _waiting(family: Family, queue: str, where: str, after: Place | None) -> Iterator[str]:
    """Yield the ids of one line after a place, in its order: by score, then by member."""
    key = f"{family.prefix}{where}:{queue}"
    low, seen = (after.score, True) if after is not None else ("-inf", False)
    offset = 0
    while True:
        with family.client.errors("list"):
            rows = family.client.redis.zrangebyscore(key, low, "+inf", start=offset, num=STEP, withscores=True)
        for member, score in rows:
            job_id = member.decode().rpartition("\n")[2]
            passed = seen and after is not None and f"{score:.0f}" == after.score and job_id <= after.id
            if not passed:
                yield job_id
        if len(rows) < STEP:
            return
        offset += STEP
