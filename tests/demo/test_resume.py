"""Interrupted in the middle and started again, the demo goes on where it was."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from testproject.demo import environment
from testproject.demo.models import AuditedDistribution, AuditRun
from tests.demo.fake_site import install_large, megabytes_hashed_in, zeros
from tests.demo.harness import DEADLINE_SECONDS, Demo, is_gone, wait_until
from tests.demo.proxy import proxied
from tests.services import Database

COUNT = 40
JOB_SECONDS = 0.03
"""How long hashing one distribution takes about: together long enough to be interrupted in the middle."""

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def slow(demo: Demo) -> Demo:
    megabytes = megabytes_hashed_in(JOB_SECONDS)
    digest = zeros(megabytes)
    for number in range(COUNT):
        install_large(demo.site, f"big{number:02}", megabytes=megabytes, digest_of_zeros=digest)
    return demo


def verdicts(alias: str, site: Path) -> dict[int, tuple[datetime, int]]:
    """Return what is done: number -> (when, in which run)."""
    rows = AuditedDistribution.objects.using(alias).filter(run__scope=scope(site)).exclude(finished_at=None)
    return {number: (at, runs) for number, at, runs in rows.values_list("number", "finished_at", "runs") if at}


def scope(site: Path) -> str:
    return environment.current([str(site)]).scope


def wait_for_the_middle(demo: Demo, alias: str) -> None:
    wait_until(lambda: len(verdicts(alias, demo.site)) >= 3, "the first distributions have their verdict")


def assert_went_on(demo: Demo, alias: str, before: dict[int, tuple[datetime, int]]) -> None:
    """Every distribution has one verdict, those of before are the same, and it is one audit with one report."""
    after = verdicts(alias, demo.site)
    assert 3 <= len(before) < COUNT, "the interruption was not in the middle"
    assert set(after) == set(range(1, COUNT + 1))
    assert {number: after[number] for number in before} == before
    run = AuditRun.objects.using(alias).get(scope=scope(demo.site))
    assert (run.state, run.done) == ("done", COUNT)
    assert len(list((demo.var / "mail").iterdir())) == 1
    assert demo.report()["is_sound"] is True


def test_a_killed_worker_is_replaced_and_its_jobs_are_done(slow: Demo, database_alias: str) -> None:
    process = slow.start()
    wait_for_the_middle(slow, database_alias)

    os.kill(slow.worker_pid(), signal.SIGKILL)
    before = verdicts(database_alias, slow.site)

    assert process.wait(DEADLINE_SECONDS) == 0
    assert "The worker was killed by SIGKILL; started another" in slow.output()
    assert_went_on(slow, database_alias, before)


def test_a_killed_command_takes_its_worker_with_it_and_the_next_one_goes_on(slow: Demo, database_alias: str) -> None:
    process = slow.start()
    wait_for_the_middle(slow, database_alias)
    worker = slow.worker_pid()

    process.kill()
    process.wait()
    wait_until(lambda: is_gone(worker), "the worker ends with its command")
    before = verdicts(database_alias, slow.site)
    done = slow.run()

    assert (done.returncode, done.stderr) == (0, "")
    assert "Goes on" in done.stdout
    assert f"({COUNT - len(before) + 1} jobs)" in done.stdout
    assert_went_on(slow, database_alias, before)


@on_sqlite
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_in_order_and_the_next_one_goes_on(
    slow: Demo, database_alias: str, number: signal.Signals, code: int
) -> None:
    process = slow.start()
    wait_for_the_middle(slow, database_alias)
    worker = slow.worker_pid()

    process.send_signal(number)

    assert process.wait(DEADLINE_SECONDS) == code
    assert is_gone(worker)
    assert "Stopping the worker" in slow.output()
    assert "run the same command again to go on" in slow.output()
    assert slow.errors() == ""
    before = verdicts(database_alias, slow.site)
    assert slow.run().returncode == 0
    assert_went_on(slow, database_alias, before)


@on_sqlite
def test_a_second_command_does_the_audit_of_the_first_whose_worker_hangs(slow: Demo, database_alias: str) -> None:
    first = slow.start()
    worker = slow.worker_pid()
    os.killpg(worker, signal.SIGSTOP)  # while it still imports: a stopped process could hold SQLite's lock
    try:
        second = slow.run()
    finally:
        os.killpg(worker, signal.SIGCONT)

    assert second.returncode == 0
    assert "Goes on" in second.stdout
    assert first.wait(DEADLINE_SECONDS) == 0
    assert set(verdicts(database_alias, slow.site)) == set(range(1, COUNT + 1))
    assert AuditRun.objects.using(database_alias).filter(scope=scope(slow.site)).count() == 1
    assert len(list((slow.var / "mail").iterdir())) == 1


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_a_database_that_is_away_for_a_while_is_waited_for(slow: Demo, database: Database, database_alias: str) -> None:
    parts = urlsplit(database.url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 0
    with proxied((host, port)) as proxy:
        slow.database_url = database.url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
        process = slow.start()
        wait_for_the_middle(slow, database_alias)

        proxy.unplug()
        wait_until(lambda: "The database does not answer" in slow.output(), "the command notices")
        before = verdicts(database_alias, slow.site)
        proxy.plug_in()

        assert process.wait(DEADLINE_SECONDS) == 0, slow.output()
    assert "The database is back." in slow.output()
    assert slow.errors() == ""
    assert_went_on(slow, database_alias, before)
