"""A database that goes away and comes back: workers wait for it, lose nothing, and go on at once."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from django_jobs.exceptions import BrokerUnavailable
from tests.conftest import attached
from tests.integration.harness import SETTINGS, Site, Worker, until
from tests.integration.postgres import PrivatePostgres, private_postgres
from tests.integration.site import jobs

ALIAS: Final = "private"
JOBS: Final = 1200
RESUME_SECONDS: Final = 3.0
"""From the moment at which the server takes connections again."""
PATIENT: Final = {"SESSION_TIMEOUT_SECONDS": 30.0}
"""No session ends by these outages, however slow the machine is: every job is to run once."""


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    with private_postgres() as running:
        yield running


@pytest.fixture
def site(server: PrivatePostgres, settings: Any, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    settings.DJANGO_JOBS = SETTINGS | PATIENT | {"DATABASE": ALIAS, "NAMESPACE": "jobs"}
    with django_db_blocker.unblock(), attached(server.database, ALIAS):
        call_command("migrate", database=ALIAS, verbosity=0)
        made = Site(server.database, tmp_path)
        try:
            yield made
        finally:
            made.close()


def ended(site: Site) -> int:
    return len(site.ledger("end"))


def has_ended(site: Site, count: int) -> bool:
    return ended(site) >= count


def has_started(site: Site, count: int) -> bool:
    return len(site.ledger("start")) >= count


def all_wait(workers: list[Worker], *, outages: int) -> bool:
    """Say whether both children of each worker have noticed as many outages."""
    return all(len(re.findall(r"Child \d+ cannot reach", worker.log)) >= 2 * outages for worker in workers)


def test_a_database_that_crashes_under_load_costs_no_job_and_no_attempt(site: Site, server: PrivatePostgres) -> None:
    workers = [site.worker("-c", "2", settings=PATIENT).ready() for _ in range(2)]
    results = jobs.spend.delay_many([((f"s{number}", 0.01), {}) for number in range(JOBS)])
    for number in range(3):
        until(partial(has_ended, site, ended(site) + JOBS // 8), what=site.said)
        server.crash()
        until(partial(all_wait, workers, outages=number + 1), what=site.said)
        server.start()
        ready_at = time.monotonic()
        started = len(site.ledger("start"))
        until(partial(has_started, site, started + 1), what=site.said)
        assert site.ledger("start")[started].at - ready_at < RESUME_SECONDS
        connections[ALIAS].close()
    for result in results:
        stored = site.stored(result, 60)
        assert (stored.status, stored.failures, stored.crashes) == ("succeeded", 0, 0)
    assert len(site.ledger("start")) == len(site.ledger("end")) == JOBS
    for worker in workers:
        worker.stop()
        assert worker.ended() == 0
        assert "was refused" not in worker.log


def test_a_worker_that_is_started_before_its_database_waits_for_it(site: Site, server: PrivatePostgres) -> None:
    result = jobs.note.delay("early")
    connections[ALIAS].close()
    server.crash()
    worker = site.worker("-c", "1")
    worker.says("The worker starts and goes on trying")
    worker.says("The keeper cannot reach the broker")

    server.start()
    ready_at = time.monotonic()

    until(lambda: site.ledger("ran"), what=site.said)
    assert site.ledger("ran")[0].at - ready_at < RESUME_SECONDS
    assert site.stored(result).status == "succeeded"
    worker.says("Ready")
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_jobs_taskdefinition WHERE name = %s", [jobs.note.name])
        assert cursor.fetchone() == (1,)


def test_a_worker_ends_in_order_while_its_database_is_away(site: Site, server: PrivatePostgres) -> None:
    connections[ALIAS].close()
    server.crash()
    worker = site.worker("-c", "2")
    worker.says("The keeper cannot reach the broker")

    worker.stop()

    assert worker.ended(5) == 0
    assert "Stopped." in worker.log


def test_an_enqueue_while_the_database_is_away_says_at_once_that_it_was_not_done(
    site: Site, server: PrivatePostgres
) -> None:
    jobs.note.delay("before")
    for connected in (True, False):
        if connected:
            server.crash()
        begun = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="Cannot use the job broker") as caught:
            jobs.note.delay("lost")
        assert time.monotonic() - begun < RESUME_SECONDS
        assert ("NOT queued" in str(caught.value)) is not connected
    server.start()
    jobs.note.delay("after")
    assert site.worker("-c", "1", "--burst").ended() == 0
    assert {entry.key for entry in site.ledger("ran")} == {"before", "after"}
