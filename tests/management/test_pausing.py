"""`manage.py jobs pause`, `jobs resume` and `jobs cancel` by what jobs are, on the test-suite's database broker."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from django_jobs import enqueue, job, pause_task, paused, resume_queue
from django_jobs.connections import connections
from django_jobs.registry import registry
from django_jobs.testing import run_jobs
from tests.management.test_jobs import Worker, refused, run, run_json

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    @job(name="tests.send")
    def send(number: int = 0) -> int:
        return number

    @job(name="tests.report", queue="reports", unique=True, unique_until="start")
    def report() -> None: ...

    yield
    registry.unregister("tests.send")
    registry.unregister("tests.report")


def test_a_paused_queue_runs_nothing_until_it_is_resumed() -> None:
    enqueue("tests.send")
    told = run("pause", "--queue", "default", "--reason", "the  server\nis down")
    assert told == "queue default is paused: no more jobs of it are claimed. Those that are claimed go on.\n"
    assert run_jobs() == {}
    (pause,) = paused()
    assert (pause.kind, pause.name, pause.reason) == ("queue", "default", "the server is down")
    assert "@" in pause.by
    again = run("pause", "--queue", "default", "--reason", "other")
    assert again.startswith("It was paused before: queue default is paused since 2")
    assert again.endswith("the server is down.\nNothing was changed.\n")
    assert run("resume", "--queue", "default") == "queue default goes on.\n"
    assert run("resume", "--queue", "default") == "queue default was not paused. Nothing was changed.\n"
    assert run_jobs() == {"succeeded": 1}


def test_a_paused_task_runs_nothing_while_others_do() -> None:
    enqueue("tests.send")
    enqueue("tests.report")
    document = run_json("pause", "--task", "tests.report")
    assert document["changed"] is True
    assert [(pause["kind"], pause["name"], pause["reason"]) for pause in document["paused"]] == [
        ("task", "tests.report", None)
    ]
    assert run_json("pause", "--task", "tests.report")["changed"] is False
    assert run_jobs() == {"succeeded": 1}
    assert run_json("resume", "--task", "tests.report") == {"version": 1, "changed": True, "paused": []}
    assert run_jobs() == {"succeeded": 1}


def test_many_paused_jobs_do_not_hide_the_others_from_run_jobs() -> None:
    for number in range(3500):
        enqueue("tests.send", number)
    pause_task("tests.send")
    enqueue("tests.send", 1)
    enqueue("tests.report")
    assert run_jobs() == {"succeeded": 1}


def test_a_name_that_nothing_knows_is_refused_and_can_be_forced() -> None:
    told = refused(3, "pause", "--queue", "report")
    assert "Did you mean reports?" in told
    assert "--force" in told
    assert "Did you mean tests.send" in refused(3, "pause", "--task", "tests.sent")
    assert paused() == []
    assert "tests.sent" in run("pause", "--task", "tests.sent", "--force")
    assert "goes on" in run("resume", "--task", "tests.sent")
    assert "Did you mean default" in refused(3, "resume", "--queue", "defaults")
    assert "is no name of a queue" in refused(2, "pause", "--queue", "a b", "--force")
    assert "at most 500" in refused(2, "pause", "--queue", "default", "--reason", "x" * 501)


def test_a_queue_that_only_a_live_job_names_is_known() -> None:
    enqueue("tests.send")
    registry.require("tests.send").task.apply_async(queue="far")
    assert "far is paused" in run("pause", "--queue", "far")


def test_stats_show_and_list_say_what_is_paused() -> None:
    sent = enqueue("tests.send")
    run("pause", "--queue", "default", "--reason", "why not")
    run("pause", "--queue", "reports")
    run("pause", "--task", "tests.report")
    document = run_json("stats")
    assert [(queue["queue"], queue["queued"], queue["paused"]) for queue in document["queues"]] == [
        ("default", 1, True),
        ("reports", 0, True),
    ]
    assert [(pause["kind"], pause["name"]) for pause in document["paused"]] == [
        ("queue", "default"), ("queue", "reports"), ("task", "tests.report"),
    ]  # fmt: skip
    lines = run("stats").splitlines()
    assert lines[-3].startswith("Paused: queue default is paused since ")
    assert lines[-3].endswith(": why not.")
    assert run("list").splitlines()[1].split()[1] == "paused"
    assert run_json("list")["jobs"][0]["waits_because"].startswith("queue default is paused since")
    assert "waits: queue default is paused since" in run("show", sent.id)
    resume_queue("default")
    assert run_json("show", sent.id)["job"]["waits_because"] is None


def test_cancel_takes_the_jobs_that_the_options_mean() -> None:
    worker = Worker()
    running = enqueue("tests.send")
    worker.claim()
    for _ in range(3):
        enqueue("tests.send")
    report = enqueue("tests.report")
    assert run_json("cancel", "--task", "tests.send", "--dry-run") == {"version": 1, "waiting": 3, "running": 0}
    assert run("cancel", "--queue", "default", "--running", "--dry-run") == "3 jobs wait and 1 run that fit.\n"
    assert "--yes" in refused(2, "cancel", "--queue", "default")
    assert "--yes" in refused(2, "cancel", "--queue", "default", "--json")
    assert "No job fits" in refused(3, "cancel", "--queue", "default", "--older-than", "1h", "--yes")
    assert "No job fits" in refused(3, "cancel", "--status", "scheduled")
    document = run_json("cancel", "--queue", "default", "--running", "--yes")
    assert document == {"version": 1, "cancelled": 3, "requested": 1, "too_late": 0}
    assert {view.id for view in connections.broker.list()} == {running.id, report.id}
    assert run("cancel", "--queue", "reports", "--yes") == "1 jobs were cancelled.\n"
    assert "Which jobs?" in refused(2, "cancel")
    assert "not both" in refused(2, "cancel", "some-id", "--queue", "default")
    assert "give --task too" in refused(2, "cancel", "--unique-key", "7")


def test_cancel_asks_where_somebody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(text: str) -> Any:
        asked.append(text)
        return ["no", "y"][len(asked) - 1]

    enqueue("tests.send")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", answer)
    assert "Nothing was cancelled" in refused(1, "cancel", "--task", "tests.send")
    assert "1 jobs were cancelled." in run("cancel", "--task", "tests.send")
    assert asked == ["Cancel them? [y/N] "] * 2
