"""Hooks and signals of real workers: after the store knows, once, and harmless."""

from __future__ import annotations

import pytest

from django_jobs import AsyncResult, State
from tests.integration.harness import Site, until
from tests.integration.site import followed, jobs, limited


def events(site: Site, result: AsyncResult[object]) -> list[str]:
    return [entry.event for entry in site.ledger(key=result.id)]


@pytest.mark.parametrize("options", [("-c", "1"), ("-c", "1", "--threads", "3"), ("--pool", "solo")], ids=" ".join)
def test_hooks_hear_what_has_been_stored(site: Site, options: tuple[str, ...]) -> None:
    site.worker(*options).ready()
    good = followed.followed.delay(0)
    retried = followed.followed.delay(1)
    lost = followed.followed.delay(99)

    for result in (good, retried, lost):
        site.stored(result)

    until(lambda: events(site, good) == ["on_success:succeeded"])
    until(lambda: events(site, retried) == ["on_retry:retrying", "on_success:succeeded"])
    until(lambda: events(site, lost) == ["on_retry:retrying"] * 3 + ["on_failure:failed"])
    assert (lost.status, site.stored(lost).failures) == (State.FAILED, 4)
    assert jobs.note.delay("after the broken hook").get(timeout=20)


def test_hooks_of_coroutines_are_called_before_the_child_is_replaced(site: Site) -> None:
    site.worker("-c", "1", "--max-jobs-per-child", "2").ready()
    results = [followed.followed_coroutine.delay() for _ in range(6)]

    assert [result.get(timeout=20) for result in results] == ["done"] * 6
    for result in results:
        until(lambda result=result: events(site, result) == ["on_success:succeeded"])  # type: ignore[misc]


def test_signals_tell_of_jobs_whose_process_died(site: Site) -> None:
    site.worker("-c", "1", environment={"LISTEN": "1"}).ready()
    poison = jobs.kill_yourself.delay("p")
    site.stored(poison, seconds=30)
    late = limited.outlasts.delay("h")
    site.stored(late)

    until(lambda: events(site, poison) == ["job_crashed"] * 2 + ["job_quarantined"])
    until(lambda: events(site, late) == ["job_failed"])
