"""What is logged and signalled about an ended job."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.core.outcome import ErrorInfo, Kind, Outcome
from django_jobs.execution.plan import Plan
from django_jobs.signals import job_failed, job_succeeded
from django_jobs.worker.logs import JOB_KEYS, JsonFormatter, TextFormatter
from django_jobs.worker.report import Reporter
from tests.worker.conftest import make_spec

CLAIM = Claim(
    message=Message(id="01a1fd0f-6f75-7cc0-9b64-a05e1feae14b", task="shop.jobs.add", queue="q", body="{}"),
    name=ClaimName("s", 1, 1),
    attempt=4,
    failures=1,
    enqueued_us=1_000_000,
)


def outcome(kind: Kind, **fields: Any) -> Outcome:
    times = {"started_us": 1_500_000, "finished_us": 1_512_000}
    return Outcome(id=CLAIM.message.id, name=CLAIM.name, attempt=4, kind=kind, **times | fields)


ERROR = ErrorInfo(error_class="ValueError", message="no\nsecond line", traceback="Traceback ...\nValueError: no")


def test_a_success_is_one_line_at_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Reporter("w").ended(CLAIM, None, outcome(Kind.SUCCEEDED))

    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "INFO",
        "shop.jobs.add 1feae14b succeeded in 12.0 ms (queue q, run 2)",
    )
    assert {key: getattr(record, key) for key in JOB_KEYS} == {
        "job_id": CLAIM.message.id,
        "task": "shop.jobs.add",
        "queue": "q",
        "attempt": 4,
        "duration_ms": 12.0,
        "wait_ms": 500.0,
        "outcome": "succeeded",
        "worker": "w",
    }


def test_a_failure_is_an_error_with_its_traceback_unless_the_task_announces_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = make_spec("t", throws=(ValueError,))
    expected = Plan(spec, spec.options_over({}))
    with caplog.at_level(logging.INFO):
        Reporter("w").ended(CLAIM, None, outcome(Kind.FAILED, error=ERROR))
        Reporter("w").ended(CLAIM, expected, outcome(Kind.FAILED, error=ERROR))

    first, second = caplog.records
    assert (first.levelname, "Traceback" in first.getMessage()) == ("ERROR", True)
    assert (second.levelname, "Traceback" in second.getMessage()) == ("INFO", False)
    assert second.getMessage().endswith("ValueError: no ...")


def test_a_retry_says_when(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Reporter("w").ended(CLAIM, None, outcome(Kind.RETRYING, error=ERROR, delay_seconds=12.34))

    assert caplog.records[0].getMessage().endswith("again in 12.3 s")


def test_what_was_only_given_back_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Reporter("w").ended(CLAIM, None, outcome(Kind.RELEASED))

    assert caplog.records == []


def test_signals_follow_what_was_stored_and_a_receiver_that_raises_stops_nothing() -> None:
    seen = []

    def receive(sender: str, claim: Claim, outcome: Outcome, **_: Any) -> None:
        seen.append((sender, claim, outcome.kind))
        raise ZeroDivisionError

    for signal in (job_succeeded, job_failed):
        signal.connect(receive)
    try:
        Reporter("w").ended(CLAIM, None, outcome(Kind.SUCCEEDED))
        Reporter("w").ended(CLAIM, None, outcome(Kind.FAILED, error=ERROR))
        Reporter("w").stale(CLAIM, outcome(Kind.SUCCEEDED))
    finally:
        for signal in (job_succeeded, job_failed):
            signal.disconnect(receive)

    assert seen == [("shop.jobs.add", CLAIM, Kind.SUCCEEDED), ("shop.jobs.add", CLAIM, Kind.FAILED)]


def record(**extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("django_jobs.worker", logging.INFO, "f", 1, "said %s", ("so",), None)
    vars(made).update(extra)
    return made


def test_text_lines_have_the_time_and_the_level() -> None:
    line = TextFormatter().format(record(created=1_700_000_000.5, msecs=500.0))

    assert line.endswith(".500 INFO    said so")
    assert len(line.split(":")) == 3


def test_json_lines_are_one_object_each_whatever_is_in_them() -> None:
    text = JsonFormatter().format(record(job_id="j", fields={"event": "start", "level": "mine"}))

    line = json.loads(text)
    assert io.StringIO(text).readlines() == [text]
    assert (line["message"], line["level"], line["job_id"], line["event"]) == ("said so", "info", "j", "start")
