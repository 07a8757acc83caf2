"""Processes that die: at whose cost, and how soon their jobs run again."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from django_jobs import State, Task
from tests.integration.harness import RENEW_SECONDS, TIMEOUT_SECONDS, Site, until
from tests.integration.site import jobs


def test_the_job_of_a_killed_child_runs_again_within_a_second(site: Site) -> None:
    worker = site.worker("-c", "2").ready()
    gate = site.gate()
    result = jobs.hold.delay("k", str(gate))
    first = site.started("k")

    os.kill(first.pid, signal.SIGKILL)

    second = site.started("k", times=2)
    until(lambda: len(worker.processes()) == 3, what="a keeper and two children")
    gate.touch()
    stored = site.stored(result)
    assert second.pid != first.pid
    assert (stored.status, stored.crashes) == (State.SUCCEEDED, 1)
    [crash] = json.loads(stored.attempts)
    assert crash["cause"] == "crash"
    assert "SIGKILL" in crash["message"]
    assert second.at - crash["ended_us"] / 1e6 + _monotonic_offset() < 1.0


def test_an_idle_child_that_is_killed_is_replaced(site: Site) -> None:
    worker = site.worker("-c", "1").ready()
    keeper_and_child = {process.pid for process in worker.processes()}

    for process in worker.processes():
        process.kill()

    until(lambda: len({process.pid for process in worker.processes()} - keeper_and_child) == 2)
    assert jobs.note.delay("after").get(timeout=20) == "after"


def test_the_jobs_of_a_killed_worker_run_elsewhere_and_its_children_are_gone(site: Site) -> None:
    victim = site.worker("-c", "2").ready()
    gate = site.gate()
    results = [jobs.hold.delay(key, str(gate)) for key in ("a", "b")]
    for key in ("a", "b"):
        site.started(key)
    family = victim.processes()
    other = site.worker("-c", "2").ready()

    victim.process.kill()

    psutil.wait_procs(family, timeout=2)
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for key in ("a", "b"):
        site.started(key, times=2, seconds=TIMEOUT_SECONDS + 3 * RENEW_SECONDS + 1.5)
    gate.touch()
    for result in results:
        stored = site.stored(result)
        assert stored.status is State.SUCCEEDED
        assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["session death"]
    other.stop()
    assert other.ended() == 0


def test_the_late_settle_of_a_worker_that_was_stopped_is_refused(site: Site) -> None:
    frozen = site.worker("-c", "1", "--name", "frozen").ready()
    gate = site.gate()
    result = jobs.hold.delay("z", str(gate))
    first = site.started("z")
    other = site.worker("-c", "1", "--name", "other").ready()

    frozen.signal_group(signal.SIGSTOP)
    try:
        second = site.started("z", times=2, seconds=TIMEOUT_SECONDS + 3 * RENEW_SECONDS + 3)
        gate.touch()
        stored = site.stored(result)
        other.stop()
        assert other.ended() == 0
    finally:
        frozen.signal_group(signal.SIGCONT)

    frozen.says("new session")
    until(lambda: not psutil.pid_exists(first.pid))
    assert site.stored(result) == stored
    assert json.loads(stored.result) == second.pid
    assert stored.worker.startswith("other")
    assert jobs.note.delay("alive").get(timeout=20) == "alive"


@pytest.mark.parametrize(
    ("task", "how"), [(jobs.kill_yourself, "SIGKILL"), (jobs.segfault, "SIGSEGV"), (jobs.leave, "exit status 0")]
)
def test_a_job_that_kills_its_process_is_quarantined_and_its_neighbours_live(
    site: Site, task: Task[..., None], how: str
) -> None:
    site.worker("-c", "2").ready()
    poison = task.delay("p")
    neighbours = [jobs.note.delay(f"n{number}") for number in range(30)]

    stored = site.stored(poison, seconds=30)

    assert (stored.status, stored.crashes) == (State.QUARANTINED, 3)
    assert len(site.ledger("start", "p")) == 3
    assert how in stored.error_message
    assert [result.get(timeout=20) for result in neighbours] == [f"n{number}" for number in range(30)]


def test_a_job_that_may_run_once_at_most_fails_with_its_process(site: Site) -> None:
    site.worker("-c", "1").ready()
    result = jobs.hold_once.delay("once", str(site.gate()))
    started = site.started("once")

    os.kill(started.pid, signal.SIGKILL)

    stored = site.stored(result)
    assert (stored.status, stored.error_class) == (State.FAILED, "django_jobs.exceptions.WorkerLostError")
    assert len(site.ledger("start", "once")) == 1


def test_what_waits_behind_a_long_job_is_run_by_others(site: Site) -> None:
    """The line of a child that has learned to take many is given back when a long job stands at its head."""
    gate = site.gate()
    for number in range(300):
        jobs.note.delay(f"warm{number}")
    jobs.hold.delay("long", str(gate))
    waiting = [jobs.note.delay(f"w{number}") for number in range(20)]
    worker = site.worker("-c", "1").ready()
    site.started("long")

    site.worker("-c", "1").ready()

    assert [result.get(timeout=20) for result in waiting] == [f"w{number}" for number in range(20)]
    assert not site.ledger("end", "long")
    gate.touch()
    worker.stop()
    assert worker.ended() == 0


def _monotonic_offset() -> float:
    """Wall clock less monotonic clock, in seconds."""
    import time

    return time.time() - time.monotonic()
