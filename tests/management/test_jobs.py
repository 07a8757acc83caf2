"""`manage.py jobs`, on the database broker of the test-suite."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from django_jobs import AsyncResult, enqueue, job
from django_jobs.connections import connections
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.outcome import ErrorInfo, Kind, Outcome
from django_jobs.management.commands.jobs import VERBS
from django_jobs.registry import registry

pytestmark = pytest.mark.django_db

JOB_KEYS = {
    "id", "task", "queue", "status", "attempts", "args", "kwargs", "enqueued_at", "eta", "started_at", "finished_at",
    "result", "error",
}  # fmt: skip
HOSTILE = "\x1b[31mred\x07\u202e"


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("jobs", *args, stdout=out)
    return out.getvalue()


def run_json(*args: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(*args, "--json"))
    assert document["version"] == 1
    return document


def refused(code: int, *args: str) -> str:
    """Run the command, which must end with this exit code; return what it says."""
    with pytest.raises(CommandError) as caught:
        run(*args)
    assert caught.value.returncode == code
    return str(caught.value)


class Worker:
    """Does by hand what a worker would do."""

    def __init__(self) -> None:
        self.number = 0

    def claim(self, queue: str = "default") -> Claim:
        self.number += 1
        want = Want(name=ClaimName("by-hand", 1, self.number), queues=(queue,), limit=1)
        (claim,) = connections.broker.exchange((), want).claims
        return claim

    def settle(self, claim: Claim, kind: Kind, **fields: Any) -> None:
        outcome = Outcome(id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=kind, **fields)
        connections.broker.exchange((outcome,), None)

    def end(self, kind: Kind = Kind.SUCCEEDED, *, queue: str = "default", **fields: Any) -> None:
        self.settle(
            self.claim(queue), kind, started_us=1_900_000_000_000_000, finished_us=1_900_000_001_500_000, **fields
        )

    def fail(self, message: str = "boom") -> None:
        record = AttemptRecord(attempt=1, cause="failure", error_class="ValueError", message=message)
        error = ErrorInfo(
            error_class="ValueError", message=message, traceback=f"Traceback\n  x\nValueError: {message}\n"
        )
        self.end(Kind.FAILED, error=error, record=record)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    job(name="tests.send")(lambda *args, **kwargs: None)
    job(name="tests.one")(lambda value: value)
    yield
    registry.unregister("tests.send")
    registry.unregister("tests.one")


# -- list ------------------------------------------------------------------------------------------------------


def test_list_shows_live_jobs_with_the_promised_keys(worker: Worker) -> None:
    first = enqueue("tests.send", 1, name="x")
    second = AsyncResult[Any](
        json.loads(run("enqueue", "tests.one", "--arg", "2", "--countdown", "60", "--json"))["id"]
    )
    document = run_json("list")
    assert [shown["id"] for shown in document["jobs"]] == [first.id, second.id]
    assert document["next"] is None
    shown, delayed = document["jobs"]
    assert set(shown) >= JOB_KEYS
    assert (shown["task"], shown["queue"], shown["status"]) == ("tests.send", "default", "queued")
    assert (shown["args"], shown["kwargs"], shown["attempts"]) == ([1], {"name": "x"}, [])
    assert (shown["eta"], shown["started_at"], shown["finished_at"], shown["error"]) == (None, None, None, None)
    assert delayed["status"] == "scheduled"
    assert delayed["eta"] > delayed["enqueued_at"]
    assert delayed["enqueued_at"].endswith("Z")


def test_list_fits_eighty_columns_and_shows_whole_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long_name = f"tests.{'very.' * 20}long"
    job(name=long_name)(lambda: None)
    try:
        result = enqueue(long_name)
    finally:
        registry.unregister(long_name)
    lines = run("list").splitlines()
    assert lines[0].split() == ["ID", "STATUS", "AGE", "QUEUE", "TASK"]
    assert result.id in lines[1]
    assert lines[1].endswith("very.long")
    assert "…" in lines[1]
    assert max(map(len, lines)) <= 80


def test_list_filters_and_pages(worker: Worker) -> None:
    ids = [enqueue("tests.send", number).id for number in range(3)]
    enqueue("tests.one", 1)
    page = run_json("list", "--task", "tests.send", "--limit", "2")
    assert [shown["id"] for shown in page["jobs"]] == ids[:2]
    rest = run_json("list", "--task", "tests.send", "--limit", "2", "--after", page["next"])
    assert ([shown["id"] for shown in rest["jobs"]], rest["next"]) == (ids[2:], None)
    assert f"More: --after {ids[1]}" in run("list", "--task", "tests.send", "--limit", "2")
    worker.claim()
    assert [shown["id"] for shown in run_json("list", "--status", "running")["jobs"]] == ids[:1]


def test_list_of_ended_jobs_is_newest_first_and_pages(worker: Worker) -> None:
    for number in range(3):
        enqueue("tests.send", number)
        worker.settle(worker.claim(), Kind.FAILED, finished_us=1_900_000_000_000_000 + number)
    page = run_json("list", "--status", "failed", "--limit", "2")
    assert [shown["args"] for shown in page["jobs"]] == [[2], [1]]
    rest = run_json("list", "--status", "failed", "--limit", "2", "--after", page["next"])
    assert [shown["args"] for shown in rest["jobs"]] == [[0]]
    assert run_json("list", "--status", "failed", "--task", "tests.send", "--queue", "default")["jobs"]
    assert "no such result" in refused(3, "list", "--status", "failed", "--after", "nobody")


def test_nothing_that_matches_is_exit_code_3_and_still_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    for status in ("queued", "failed"):
        out = io.StringIO()
        with pytest.raises(CommandError) as caught:
            call_command("jobs", "list", "--status", status, "--json", stdout=out)
        assert caught.value.returncode == 3
        assert json.loads(out.getvalue()) == {"version": 1, "jobs": [], "next": None}


@override_settings(DJANGO_JOBS={"RESULT_STORE": "django_jobs.backends.memory.MemoryResultStore"})
def test_another_result_store_cannot_be_listed() -> None:
    assert "cannot be listed" in refused(1, "list", "--status", "failed")


# -- show ------------------------------------------------------------------------------------------------------


def test_show_tells_all_of_a_success(worker: Worker) -> None:
    result = enqueue("tests.send", 1)
    worker.end(result='{"sum":3}', worker="host.7")
    shown = run_json("show", result.id)["job"]
    assert (shown["status"], shown["result"], shown["worker"]) == ("succeeded", {"sum": 3}, "host.7")
    assert shown["started_at"] == "2030-03-17T17:46:40Z"
    assert shown["finished_at"] == "2030-03-17T17:46:41.500000Z"
    text = run("show", result.id)
    assert '  result    {"sum": 3}\n' in text
    assert "  args      [1]\n" in text


def test_show_tells_all_of_a_failure_without_terminal_tricks(worker: Worker) -> None:
    result = enqueue("tests.send", HOSTILE)
    worker.fail(HOSTILE)
    shown = run_json("show", result.id)["job"]
    assert shown["error"]["class"] == "ValueError"
    assert shown["error"]["message"] == HOSTILE
    assert [attempt["cause"] for attempt in shown["attempts"]] == ["failure"]
    text = run("show", result.id) + run("show", result.id, "--json")
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "error     ValueError: \\x1b[31mred\\x07\\u202e" in text
    assert "    Traceback\n" in text


def test_show_of_a_message_that_cannot_be_read() -> None:
    from django_jobs.core.message import Message

    connections.broker.enqueue_many([Message(id="strange", task="tests.send", queue="default", body="{no json")])
    shown = run_json("show", "strange")["job"]
    assert (shown["args"], shown["kwargs"]) == (None, None)


def test_show_says_why_a_job_waits(worker: Worker) -> None:
    result = enqueue("tests.send")
    worker.settle(worker.claim(), Kind.UNKNOWN_TASK)
    assert run_json("show", result.id)["job"]["waits_because"] == "unknown task"
    assert "queued (waits: unknown task)" in run("show", result.id)
    assert "unknown task" in run("list")


def test_show_of_an_unknown_id() -> None:
    assert "Nobody knows a job nobody" in refused(3, "show", "nobody", "--json")


def test_an_argument_that_is_not_utf_8() -> None:
    assert "Nobody knows a job \\udcff" in refused(3, "show", "\udcff")
    assert "not text in UTF-8" in refused(2, "list", "--queue", "\udcff")


def test_show_tells_the_key_by_which_a_job_takes_turns() -> None:
    task = job(name="tests.keyed")(lambda value: value)
    for job_id, key in (("one", "shop:7"), ("two", ""), ("three", None)):
        task.apply_async((1,), task_id=job_id, fair_key=key)
    registry.unregister("tests.keyed")
    assert [run_json("show", job_id)["job"]["fair_key"] for job_id in ("one", "two", "three")] == ["shop:7", "", None]
    assert "turns by  shop:7" in run("show", "one")
    assert "turns by" not in run("show", "three")


# -- enqueue ---------------------------------------------------------------------------------------------------


def test_enqueue_takes_json_arguments_and_options() -> None:
    printed = run(
        "enqueue", "tests.send", "--arg", "1", "--arg", '"two"', "--kwarg", 'at={"$": "date", "v": "2030-01-01"}',
        "--queue", "mail", "--priority", "-7", "--eta", "2099-01-01T00:00Z", "--id", "mine",
    )  # fmt: skip
    assert printed == "mine\n"
    shown = run_json("show", "mine")["job"]
    assert (shown["args"], shown["kwargs"]) == ([1, "two"], {"at": {"$": "date", "v": "2030-01-01"}})
    assert (shown["queue"], shown["priority"], shown["eta"]) == ("mail", -7, "2099-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--arg", "two"], "a string needs its quotes"),
        (["--kwarg", "two"], "it is NAME=JSON"),
        (["--kwarg", "=2"], "it is NAME=JSON"),
        (["--kwarg", "a=x"], "--kwarg a="),
        (["--arg", '{"$": "nothing", "v": 1}'], "--arg"),
        (["--arg", "[" * 100_000], "--arg"),
        (["--eta", "tomorrow"], "ISO 8601"),
        (["--countdown", "-1"], "countdown=-1"),
        (["--queue", "a b"], "a queue's name"),
        ([], "missing 'value'"),
        (["--arg", "1", "--arg", "2"], "2 positional arguments where it takes 1"),
        (["--arg", str(2**70)], "past 64 bit"),
    ],
)
def test_a_wrong_enqueue_is_a_usage_error(args: list[str], told: str) -> None:
    assert told in refused(2, "enqueue", "tests.one", *args)
    assert "No job matches" in refused(3, "list")


def test_an_unknown_verb_or_option_is_a_usage_error() -> None:
    for args in (["nothing"], [], ["list", "--status", "sleeping"], ["prune", "--older-than", "soon"]):
        with pytest.raises(CommandError):
            run(*args)


def test_enqueue_of_an_unknown_task_names_what_is_alike() -> None:
    assert "Did you mean tests.send" in refused(1, "enqueue", "tests.sent")


def test_enqueue_waits_and_tells_how_it_ended(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def work_instead(kind: Callable[[], None]) -> None:
        monkeypatch.setattr(connections.results, "wait", lambda ids, timeout_seconds: kind())

    work_instead(lambda: worker.end(result="5"))
    assert "  result    5\n" in run("enqueue", "tests.one", "--arg", "1", "--wait")
    work_instead(worker.fail)
    assert "has failed" in refused(1, "enqueue", "tests.one", "--arg", "1", "--wait")
    work_instead(lambda: None)
    assert "has not ended within 0.01 s" in refused(
        1, "enqueue", "tests.one", "--arg", "1", "--wait", "--timeout", "0.01"
    )


# -- retry, cancel ---------------------------------------------------------------------------------------------


def test_cancel_answers_for_each_id(worker: Worker) -> None:
    claimed, waiting = enqueue("tests.send"), enqueue("tests.send")
    worker.claim()
    assert run_json("cancel", claimed.id, waiting.id)["answers"] == {claimed.id: "requested", waiting.id: "cancelled"}
    assert run_json("list", "--status", "cancelled")["jobs"][0]["id"] == waiting.id
    ended = enqueue("tests.send")
    worker.end()
    assert "2 of 2 jobs could not be cancelled" in refused(3, "cancel", ended.id, "nobody")
    third = enqueue("tests.send")
    assert "1 of 2" in refused(1, "cancel", third.id, "nobody-2")
    fourth = enqueue("tests.send")
    assert run("cancel", fourth.id) == f"{fourth.id}  cancelled: it never starts\n"


def test_cancel_may_terminate(worker: Worker) -> None:
    claimed = enqueue("tests.send")
    worker.claim()
    assert "ends it within seconds" in run("cancel", claimed.id, "--terminate")
    assert connections.broker.cancels_of([claimed.id]) == {claimed.id: True}


def test_purge_cancels_what_waits_and_counts_it(worker: Worker) -> None:
    running = enqueue("tests.send")
    worker.claim()
    for _ in range(3):
        enqueue("tests.send")
    assert "Give --queue or --task, or --all" in refused(2, "purge")
    assert "No waiting job fits" in refused(3, "purge", "--queue", "other")
    assert "No waiting job fits" in refused(3, "purge", "--task", "tests.send", "--status", "scheduled")
    assert run_json("purge", "--queue", "default")["cancelled"] == 3
    assert [job["id"] for job in run_json("list")["jobs"]] == [running.id]
    enqueue("tests.send")
    assert run("purge", "--all") == "1 jobs were cancelled.\n"


def test_retry_starts_ended_jobs_again(worker: Worker) -> None:
    failed, live = enqueue("tests.send", 1), enqueue("tests.send", 2)
    worker.fail()
    assert run("retry", failed.id) == f"{failed.id}  enqueued again\n"
    assert failed.status == "queued"
    assert "1 of 1 jobs were not retried" in refused(3, "retry", live.id)
    worker.end(Kind.CANCELLED)
    worker.end(Kind.EXPIRED)
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("jobs", "retry", failed.id, "nobody", "--json", stdout=out)
    assert caught.value.returncode == 1
    document = json.loads(out.getvalue())
    assert document["retried"] == [failed.id]
    assert "nobody" in document["refused"]["nobody"]


# -- stats, workers, prune -------------------------------------------------------------------------------------


def test_stats_counts_each_queue(worker: Worker) -> None:
    assert "No job waits or runs." in run("stats")
    for _ in range(2):
        enqueue("tests.send")
    worker.claim()
    (queue,) = run_json("stats")["queues"]
    assert (queue["queue"], queue["queued"], queue["running"]) == ("default", 1, 1)
    lines = run("stats").splitlines()
    assert lines[0].startswith("Broker: ")
    assert lines[1].split() == ["QUEUE", "QUEUED", "RUNNING", "SCHEDULED", "RETRYING", "PARKED", "OLDEST"]
    assert lines[2].split()[:3] == ["default", "1", "1"]


def test_prune_drops_what_is_older(worker: Worker) -> None:
    def end(kind: Kind, seconds_ago: int) -> None:
        enqueue("tests.send")
        claim = worker.claim()
        now_us = claim.enqueued_us
        worker.settle(claim, kind, finished_us=now_us - seconds_ago * 1_000_000)

    day = 86_400
    for kind in (Kind.SUCCEEDED, Kind.FAILED):
        for days in (1, 8, 91):
            end(kind, days * day)
    assert run_json("prune") == {"version": 1, "pruned": 3}
    assert run("prune", "--older-than", "2d", "--status", "succeeded") == "Dropped 0 results.\n"
    assert run("prune", "--older-than", "2d") == "Dropped 1 results.\n"
    assert run("prune", "--older-than", "0s", "--status", "failed") == "Dropped 1 results.\n"
    assert len(run_json("list", "--status", "succeeded")["jobs"]) == 1


@override_settings(DJANGO_JOBS={"BROKR": 1})
def test_wrong_settings_are_an_error_in_one_line() -> None:
    assert "Did you mean 'BROKER'?" in refused(1, "stats")


def test_every_verb_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(VERBS) == [
        "list", "show", "enqueue", "retry", "cancel", "purge", "pause", "resume", "stats", "workers", "control",
        "prune",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        run("--help")
    told = capsys.readouterr().out
    for verb in VERBS.values():
        assert verb.help in " ".join(told.split())
