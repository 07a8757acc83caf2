"""`jobs workers` and `jobs control` as people and programs see them. Workers that answer are in tests/integration."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_jobs import WorkerHandle, workers
from django_jobs.connections import connections
from django_jobs.core.session import SessionState
from django_jobs.testing import memory_stores
from django_jobs.testing.child import make_session

HOSTILE = "\x1b[31mred\x07\u202e"
DETAILS = json.dumps({"slots": "2 processes", "autoscale": [1, 8], "children": [{"running": 1}, {"running": 4}]})


@pytest.fixture(autouse=True)
def stores() -> Iterator[None]:
    with memory_stores():
        yield


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def orders(session: str) -> list[tuple[str, int | None]]:
    return [(standing.order.verb, standing.order.value) for standing in connections.broker.orders_of(session, after=0)]


def test_a_quiet_worker_that_scales_itself_is_listed_as_one() -> None:
    session = make_session(worker="web-1", pid=7)
    connections.broker.open_session(session)
    connections.broker.renew(make_session(state=SessionState.QUIET, details=DETAILS))

    [line] = run("workers").splitlines()[1:]

    assert line.startswith("web-1   quiet  7    2 processes (1-8)  5     ")


def test_orders_go_to_those_that_are_named_by_name_or_session_or_to_all_that_live() -> None:
    for session in ("s1", "s2", "s3", "dead"):
        connections.broker.open_session(make_session(session, worker=f"web-{session}"))
    connections.broker.close_session("dead")

    run("control", "quiet", "web-s1", "s2", "--timeout", "0")
    run("control", "concurrency", "3", "web-s1", "--timeout", "0")
    run("control", "resume", "--all", "--timeout", "0")

    assert orders("s1") == [("quiet", None), ("concurrency", 3), ("resume", None)]
    assert orders("s2") == [("quiet", None), ("resume", None)]
    assert orders("s3") == [("resume", None)]
    assert orders("dead") == []


def test_a_name_that_nobody_has_is_told_to_nobody() -> None:
    connections.broker.open_session(make_session("s1", worker="web-1"))

    with pytest.raises(CommandError, match=r"called web-2; nobody was told anything. There are: web-1\.") as caught:
        run("control", "stop", "web-1", "web-2")

    assert caught.value.returncode == 3
    assert orders("s1") == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("quiet", "--all"), 3, "No worker lives"),
        (("quiet",), 2, "or say --all"),
        (("concurrency", "0", "--all"), 2, "number of children first"),
        (("quiet", "--all", "--timeout", "-1"), 2, "0 or more"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(arguments: tuple[str, ...], code: int, text: str) -> None:
    with pytest.raises(CommandError, match=text) as caught:
        run("control", *arguments)
    assert caught.value.returncode == code


def only_worker() -> WorkerHandle:
    [handle] = workers()
    return handle


def test_a_worker_that_has_gone_is_said_to_have_ended_and_to_have_stopped_where_that_was_asked() -> None:
    connections.broker.open_session(make_session("s1"))
    handle = only_worker()
    connections.broker.close_session("s1")

    assert (handle.quiet(timeout=1).done, handle.stop(timeout=1).done) == (False, True)
    assert not only_worker().is_alive


@pytest.mark.parametrize("details", ["", "no json", "[]", '{"answers": [3, {"id": "x"}]}'])
def test_details_of_another_make_are_borne(details: str) -> None:
    connections.broker.open_session(make_session("s1", details=details))

    answer: Any = only_worker().quiet(timeout=0.1)

    assert answer.done is None
    assert "s1" in run("workers")


def test_workers_lists_sessions() -> None:
    with pytest.raises(CommandError, match="No worker is known") as caught:
        run("workers")
    assert caught.value.returncode == 3
    session = make_session("s1", worker=f"host.1{HOSTILE}", pid=7, details='{"concurrency": 2}')
    connections.broker.open_session(session)
    (shown,) = json.loads(run("workers", "--json"))["workers"]
    assert (shown["session"], shown["pid"], shown["state"], shown["details"]) == ("s1", 7, "alive", {"concurrency": 2})
    text = run("workers")
    assert "\x1b" not in text
    assert text.splitlines()[0].split() == ["WORKER", "STATE", "PID", "SLOTS", "RUNS", "UP", "RENEWED"]
