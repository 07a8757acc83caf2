"""The jobs that are measured; they do what the raw loop's do."""

from __future__ import annotations

from django_jobs import job
from tests.bench import ticks


@job
def noop(number: int) -> int:
    ticks.tick()
    return number


@job(ignore_result=True)
def dropped(number: int) -> int:
    ticks.tick()
    return number


@job(rate_limit="1/d")
def blocked(number: int) -> int:
    return number


@job
def stamp(sent_ns: int) -> None:
    ticks.stamp(sent_ns)
