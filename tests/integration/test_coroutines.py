"""Thousands of coroutine jobs at a time in one child, over PostgreSQL and over Redis."""

from __future__ import annotations

import pytest

from tests.integration.harness import Site, until
from tests.integration.site import jobs

JOBS = 2000
SLEEP_SECONDS = 30.0
"""Of each job: far longer than it takes to start them all, on a slow machine too."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("database", ["postgres", "redis"], indirect=True)
def test_two_thousand_coroutines_take_the_time_of_about_one(site: Site) -> None:
    results = jobs.coroutine.delay_many([((f"c{number}", SLEEP_SECONDS), {}) for number in range(JOBS)])
    site.worker("--pool", "asyncio", "-c", str(JOBS)).ready()

    until(lambda: len(site.ledger("end")) == JOBS, 180, what=lambda: f"{len(site.ledger('end'))} ends; {site.said()}")

    starts, ends = site.ledger("start"), site.ledger("end")
    assert len({entry.pid for entry in starts}) == 1
    assert max(entry.at for entry in starts) < min(entry.at for entry in ends), "all of them ran at the same time"
    assert max(entry.at for entry in ends) - min(entry.at for entry in starts) < 2 * SLEEP_SECONDS
    assert site.stored(results[-1], 60).attempt == 1
    until(lambda: all(result.successful() for result in results[::97]), 60)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_coroutines_that_come_one_by_one_run_beside_each_other_too(site: Site) -> None:
    """Each keeps a claim of its own open; there are more of them than a child had room for by default."""
    site.worker("--pool", "asyncio", "-c", "200").ready()
    gate = site.gate()

    results = []
    for number in range(100):
        results.append(jobs.hold_async.delay(f"h{number}", str(gate)))
        site.started(f"h{number}")

    gate.touch()
    assert {site.stored(result).attempt for result in results} == {1}
