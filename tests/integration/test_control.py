"""Real workers that are told what to do from another process, by the command and by code."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command

from django_jobs import State, WorkerHandle, workers
from tests.integration.harness import Site, Worker, until
from tests.integration.site import jobs, limited

ANSWER_SECONDS = 30.0


def control(*arguments: str) -> list[dict[str, Any]]:
    """Run `jobs control ... --json`; return its answers."""
    out = io.StringIO()
    call_command("jobs", "control", *arguments, "--timeout", f"{ANSWER_SECONDS:g}", "--json", stdout=out)
    answers: list[dict[str, Any]] = json.loads(out.getvalue())["answers"]
    return answers


def only_worker() -> WorkerHandle:
    [handle] = [handle for handle in workers() if handle.is_alive]
    return handle


def child_pids(worker: Worker) -> set[int]:
    """Return the children that live, as the session tells."""
    living = {process.pid for process in worker.processes()}
    return {child["pid"] for child in only_worker().details["children"]} & living


def test_a_quiet_worker_lets_its_jobs_end_claims_nothing_and_goes_on_when_told(site: Site) -> None:
    site.worker("-c", "2", "--name", "web-1").ready()
    gate = site.gate()
    running = jobs.hold.delay("h", str(gate))
    site.started("h")

    [answer] = control("quiet", "web-1")
    waiting = jobs.note.delay("later")

    assert (answer["worker"], answer["done"]) == ("web-1", True)
    assert "1 running job may end" in answer["text"]
    gate.touch()
    assert site.stored(running).status is State.SUCCEEDED
    until(lambda: only_worker().state == "quiet", what="a session that says quiet")
    assert waiting.status is State.QUEUED
    assert site.ledger("ran") == []

    assert only_worker().resume(timeout=ANSWER_SECONDS).done
    assert waiting.get(timeout=20) == "later"
    assert only_worker().state == "alive"


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_more_and_fewer_children_without_an_end_to_what_runs(site: Site) -> None:
    worker = site.worker("-c", "1", "--name", "w").ready()
    gate = site.gate()

    assert control("concurrency", "3", "w")[0]["done"]
    until(lambda: len(child_pids(worker)) == 3, what=site.said)
    held = [jobs.hold.delay(f"h{number}", str(gate)) for number in range(3)]
    starts = [site.started(f"h{number}") for number in range(3)]
    assert len({start.pid for start in starts}) == 3

    assert control("concurrency", "1", "w")[0]["done"]
    assert {start.pid for start in starts} <= {process.pid for process in worker.processes()}, "all of them are busy"
    gate.touch()
    for result in held:
        stored = site.stored(result)
        assert (stored.status, stored.attempt) == (State.SUCCEEDED, 1)
    until(lambda: len(child_pids(worker)) == 1, what=site.said)
    assert jobs.note.delay("the last child works").get(timeout=20)
    assert "it is replaced" not in worker.log


def test_a_worker_that_is_told_to_stop_lets_what_runs_end(site: Site) -> None:
    worker = site.worker("-c", "1", "--grace-seconds", "60").ready()
    gate = site.gate()
    result = jobs.hold.delay("h", str(gate))
    site.started("h")

    assert only_worker().stop(timeout=ANSWER_SECONDS).done
    worker.says("Stopping: 1 running")
    gate.touch()

    assert worker.ended() == 0
    assert site.stored(result).status is State.SUCCEEDED


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "pool",
    [
        "processes",
        "threads",
        "asyncio",
        "solo",
        pytest.param("gevent", marks=pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")),
    ],
)
def test_every_pool_is_quiet_resumes_and_stops(site: Site, pool: str) -> None:
    worker = site.worker("--pool", pool, "-c", "2").ready()

    assert only_worker().quiet(timeout=ANSWER_SECONDS).done
    result = jobs.note.delay("n")
    said = only_worker().stacks(timeout=ANSWER_SECONDS)
    assert said.done
    assert "most recent call first" in said.text
    assert result.status is State.QUEUED
    assert only_worker().resume(timeout=ANSWER_SECONDS).done
    assert result.get(timeout=20) == "n"
    if pool != "processes":
        refused = only_worker().set_concurrency(4, timeout=ANSWER_SECONDS)
        assert (refused.done, repr(pool) in refused.text) == (False, True)
    assert only_worker().stop(timeout=ANSWER_SECONDS).done
    assert worker.ended() == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stacks_show_each_process_and_what_it_runs_even_where_c_code_holds_the_interpreter(site: Site) -> None:
    worker = site.worker("-c", "2", "--name", "w").ready()
    gate = site.gate()
    held = jobs.hold.delay("h", str(gate))
    site.started("h")
    stuck = limited.stuck_in_c.apply_async(("s",), time_limit=120)
    site.started("s")

    [answer] = control("stacks", "w")

    text = answer["text"]
    assert "the stacks of 4 processes" in text
    for place in ("supervisor, process", "keeper, process", "child 1, process", "child 2, process", " in hold"):
        assert place in text
    assert f"runs tests.integration.site.jobs.hold {held.id} for " in text
    assert f"runs tests.integration.site.limited.stuck_in_c {stuck.id} for " in text
    assert " in stuck_in_c" in text
    assert len(text) < 70_000
    gate.touch()
    assert site.stored(held).status is State.SUCCEEDED
    worker.kill()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_worker_that_does_not_look_is_said_not_to_have_answered(site: Site) -> None:
    worker = site.worker("-c", "1", "--name", "w").ready()
    for process in [psutil.Process(worker.process.pid), *worker.processes()]:
        process.suspend()

    answer = only_worker().quiet(timeout=1.0)

    assert answer.done is None
    assert "not answered within 1 s" in answer.text
    with pytest.raises(CommandError, match="1 of 1 workers did not do it"):
        call_command("jobs", "control", "quiet", "w", "--timeout", "0.5", stdout=io.StringIO())
    worker.kill()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("quiet",), 2), (("quiet", "w", "--all"), 2), (("concurrency", "w"), 2), (("quiet", "nobody"), 3)],
)
def test_the_command_refuses_what_names_nobody(site: Site, arguments: tuple[str, ...], code: int) -> None:
    site.worker("-c", "1", "--name", "w").ready()

    with pytest.raises(CommandError) as caught:
        call_command("jobs", "control", *arguments)

    assert caught.value.returncode == code


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_children_come_where_jobs_wait_and_go_where_none_do(site: Site) -> None:
    worker = site.worker("--autoscale", "1,3").ready()
    gate = site.gate()
    held = [jobs.hold.delay(f"h{number}", str(gate)) for number in range(6)]

    starts = [site.started(f"h{number}", seconds=60) for number in range(3)]
    assert len({start.pid for start in starts}) == 3
    worker.says("3 children instead of 2: all are busy and jobs wait")
    assert only_worker().details["autoscale"] == [1, 3]
    refused = only_worker().set_concurrency(5, timeout=ANSWER_SECONDS)
    assert (refused.done, "--autoscale" in refused.text) == (False, True)

    gate.touch()
    assert {site.stored(result).attempt for result in held} == {1}
    worker.says("1 child instead of 2", seconds=120)
    until(lambda: len(child_pids(worker)) == 1, 60, what=site.said)
    assert jobs.note.delay("after").get(timeout=20) == "after"
    worker.stop()
    assert worker.ended() == 0
