"""Greenlets: many plain functions that wait for sockets, in one child; what cannot run beside them is put aside."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from django.core.management import CommandError, call_command

from django_jobs import State
from tests.integration.harness import Site
from tests.integration.site import jobs

SLEEP_SECONDS = 20.0
HAS_GEVENT = find_spec("gevent") is not None


@pytest.mark.skipif(not HAS_GEVENT, reason="gevent is not installed")
class TestGevent:
    @pytest.mark.parametrize("database", ["postgres"], indirect=True)
    def test_waits_for_postgresql_and_sleeps_take_the_time_of_about_one(self, site: Site) -> None:
        queries = [jobs.sleep_in_database.delay(f"q{number}", SLEEP_SECONDS) for number in range(10)]
        sleeps = [jobs.spend.delay(f"s{number}", SLEEP_SECONDS) for number in range(100)]
        site.worker("--pool", "gevent", "-c", "110").ready()

        assert len({site.stored(result, 100).result for result in queries}) == 1, "all ran in one process"
        assert {site.stored(result, 100).status for result in sleeps} == {State.SUCCEEDED}

        starts, ends = site.ledger("start"), site.ledger("end")
        assert (len(starts), len(ends)) == (110, 110)
        assert max(entry.at for entry in starts) < min(entry.at for entry in ends), "all of them ran at the same time"

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_coroutine_jobs_wait_for_a_worker_that_has_a_loop(self, site: Site) -> None:
        waiting = jobs.coroutine.delay("c", 0.01)
        worker = site.worker("--pool", "gevent", "-c", "5").ready()
        worker.says("has no loop for coroutine functions")

        assert jobs.note.delay("n").get(timeout=30) == "n"
        worker.says("unknown_task")
        assert waiting.status is State.QUEUED
        worker.stop()
        assert worker.ended() == 0
        site.worker("-c", "1").ready()
        stored = site.stored(waiting)
        assert (stored.status, stored.failures) == (State.SUCCEEDED, 0)

    def test_a_process_that_is_not_patched_cannot_become_it(self) -> None:
        with pytest.raises(CommandError, match="patches before Django is imported") as caught:
            call_command("runworker", "--pool", "gevent", "--no-reload")
        assert caught.value.returncode == 2


@pytest.mark.skipif(HAS_GEVENT, reason="gevent is installed")
def test_without_gevent_the_command_says_what_to_install() -> None:
    with pytest.raises(CommandError, match=r"pip install 'django-background-jobs\[gevent\]'") as caught:
        call_command("runworker", "--pool", "gevent", "--no-reload")
    assert caught.value.returncode == 2
