"""The supervisor watches its keeper, ends what outlives its session, and shows where everything stands."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import psutil
import pytest

from django_jobs import State
from django_jobs.connections import connections
from django_jobs.core.session import SessionInfo, SessionState
from tests.integration.harness import RENEW_SECONDS, TIMEOUT_SECONDS, Site, Worker, until
from tests.integration.site import jobs

KEEPER_SECONDS = 5.0


def session_of(worker: Worker) -> SessionInfo:
    """Return the living session of the only worker."""
    [session] = [info for info in connections.broker.sessions() if info.state is SessionState.ALIVE]
    assert session.pid == worker.process.pid
    return session


def keeper_of(worker: Worker, children: int) -> psutil.Process:
    """Return the keeper: the process that the session does not count among its children."""

    def known() -> set[int]:
        return {child["pid"] for child in json.loads(session_of(worker).details)["children"]}

    until(lambda: len(known()) == children, what="all children in the session")
    [keeper] = [process for process in worker.processes() if process.pid not in known()]
    return keeper


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_keeper_that_stands_still_is_replaced_and_the_session_goes_on(site: Site) -> None:
    worker = site.worker("-c", "1", settings={"SESSION_TIMEOUT_SECONDS": 20.0}).ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    site.started("h")
    keeper = keeper_of(worker, 1)
    session = session_of(worker)

    keeper.suspend()
    stopped_at = time.monotonic()
    worker.says("The keeper gave no sign")
    replaced_after = time.monotonic() - stopped_at
    until(lambda: session_of(worker).renewals > session.renewals + 2, what=site.said)

    assert KEEPER_SECONDS - 1 < replaced_after < KEEPER_SECONDS + 2
    assert not keeper.is_running()
    assert session_of(worker).id == session.id
    gate.touch()
    stored = site.stored(result)
    assert (stored.status, stored.attempt, stored.attempts) == (State.SUCCEEDED, 1, "")
    assert jobs.note.delay("after").get(timeout=20) == "after"
    worker.stop()
    assert worker.ended() == 0


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_what_runs_is_killed_once_the_session_was_not_renewed_for_the_fence(site: Site) -> None:
    fence_seconds = 1.5
    worker = site.worker("-c", "1", settings={"SESSION_FENCE_SECONDS": fence_seconds}).ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    first = site.started("h")
    session = session_of(worker)

    keeper_of(worker, 1).suspend()
    stopped_at = time.monotonic()
    until(lambda: not psutil.pid_exists(first.pid), what=site.said)
    killed_after = time.monotonic() - stopped_at

    assert fence_seconds - RENEW_SECONDS - 0.5 < killed_after < fence_seconds + 1.5
    assert f"SESSION_FENCE_SECONDS is {fence_seconds:g}" in worker.log
    second = site.started("h", times=2, seconds=TIMEOUT_SECONDS + 3 * RENEW_SECONDS + 3)
    gate.touch()
    stored = site.stored(result)
    assert (stored.status, json.loads(stored.result)) == (State.SUCCEEDED, second.pid)
    assert [entry["cause"] for entry in json.loads(stored.attempts)] == ["session death"]
    assert session_of(worker).id != session.id


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_without_a_fence_what_runs_goes_on_past_a_lost_renewal(site: Site) -> None:
    worker = site.worker("-c", "1").ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    first = site.started("h")

    keeper_of(worker, 1).suspend()
    worker.says("The keeper gave no sign")

    gate.touch()
    stored = site.stored(result)
    assert (stored.status, json.loads(stored.result)) == (State.SUCCEEDED, first.pid)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_quit_signal_writes_where_every_process_is_and_ends_none(site: Site) -> None:
    worker = site.worker("-c", "1").ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    site.started("h")
    family = {process.pid for process in worker.processes()}

    os.kill(worker.process.pid, signal.SIGQUIT)

    worker.says(" in hold")
    until(
        lambda: worker.log.count(" in _run_module_as_main\n") == 3, what="the stacks of three processes, to their ends"
    )
    for place in ("in _heed_signals", "in help_settling", 'worker/keeper.py"'):
        assert place in worker.log
    frames = [line for line in worker.log.splitlines() if "File " in line]
    assert [line for line in frames if not re.fullmatch(r'  File "[^"]+", line \d+ in \S+', line)] == []
    assert {process.pid for process in worker.processes()} == family
    gate.touch()
    assert site.stored(result).status is State.SUCCEEDED
    worker.stop()
    assert worker.ended() == 0
