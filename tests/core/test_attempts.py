"""The list of failed attempts: in order, each once, and never longer than its bounds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from django_jobs.core.attempts import (
    MAX_ENTRIES,
    MAX_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    TRACEBACKS_KEPT,
    AttemptRecord,
    append,
    changed_call,
    elapsed_seconds,
    load,
)
from django_jobs.testing.strategies import texts

records = st.builds(
    AttemptRecord,
    attempt=st.integers(1, 40),
    cause=st.sampled_from(["failure", "crash", "session death"]),
    started_us=st.one_of(st.none(), st.integers(0, 2**53)),
    ended_us=st.one_of(st.none(), st.integers(0, 2**53)),
    worker=texts,
    error_class=texts,
    message=texts,
    traceback=texts,
)


def appended(given: list[AttemptRecord]) -> str:
    text = ""
    for record in given:
        text = append(text, record)
    return text


def failure(attempt: int, **fields: Any) -> AttemptRecord:
    return AttemptRecord(attempt=attempt, cause="failure", **fields)


def test_no_text_is_no_attempts() -> None:
    assert load("") == []


@given(records)
def test_a_record_comes_back_as_it_was(record: AttemptRecord) -> None:
    assert load(append("", record)) == [record]


@given(st.lists(records, max_size=60))
def test_the_list_is_bounded_ends_with_the_newest_and_has_each_attempt_once(given: list[AttemptRecord]) -> None:
    kept = load(appended(given))
    assert len(kept) <= MAX_ENTRIES
    assert len({record.attempt for record in kept}) == len(kept)
    assert sum(bool(record.traceback) for record in kept) <= TRACEBACKS_KEPT
    if given:
        assert kept[-1].attempt == given[-1].attempt


@given(st.lists(records, min_size=1, max_size=30))
def test_a_repeated_append_changes_nothing(given: list[AttemptRecord]) -> None:
    text = appended(given)
    assert append(text, given[-1]) == text


def test_the_first_attempt_and_the_newest_stay() -> None:
    kept = [record.attempt for record in load(appended([failure(number) for number in range(1, 51)]))]
    assert kept == [1, *range(51 - MAX_ENTRIES + 1, 51)]


def test_the_newest_keep_their_tracebacks_all_keep_their_messages() -> None:
    kept = load(appended([failure(number, message="m", traceback="t") for number in range(1, 8)]))
    assert [record.traceback for record in kept] == [""] * 4 + ["t"] * TRACEBACKS_KEPT
    assert {record.message for record in kept} == {"m"}


def test_of_a_long_message_the_beginning_is_kept_of_a_long_traceback_the_end() -> None:
    (kept,) = load(append("", failure(1, message="a" + "b" * 10**6, traceback="c" * 10**6 + "d")))
    assert (len(kept.message), kept.message[0]) == (MAX_MESSAGE_CHARS, "a")
    assert (len(kept.traceback), kept.traceback[-1]) == (MAX_TRACEBACK_CHARS, "d")


def test_a_full_list_stays_small() -> None:
    text = appended([failure(number, message="m" * 10**5, traceback="t" * 10**6) for number in range(1, 51)])
    assert len(text) < MAX_ENTRIES * (MAX_MESSAGE_CHARS + 200) + TRACEBACKS_KEPT * MAX_TRACEBACK_CHARS


def test_a_later_workers_fields_are_read_over() -> None:
    (record,) = load('[{"attempt":1,"cause":"failure","invented_later":true}]')
    assert record == failure(1)


def record(attempt: int, cause: str = "failure", *, started_us: int = 0, call: str = "") -> AttemptRecord:
    return AttemptRecord(attempt=attempt, cause=cause, started_us=started_us, call=call)


def test_only_the_newest_changed_call_is_kept_and_it_outlives_later_attempts() -> None:
    text = appended([record(1, call="[[1],{}]"), record(2, call="[[2],{}]"), record(3, "session death")])
    assert changed_call(text) == "[[2],{}]"
    assert [entry.call for entry in load(text)] == ["", "", "[[2],{}]"]


def test_a_message_that_looks_like_a_changed_call_is_none() -> None:
    text = append("", AttemptRecord(attempt=1, cause="failure", message='"call":"[[1],{}]"'))
    assert changed_call(text) == ""
    assert changed_call("") == ""


def test_time_is_counted_from_the_first_of_the_last_failures() -> None:
    text = appended(
        [record(1, started_us=1_000_000), record(2, "crash", started_us=5_000_000), record(3, started_us=9_000_000)]
    )
    assert elapsed_seconds(text, failures=2, started_us=20_000_000, now_us=21_000_000) == 20
    assert elapsed_seconds(text, failures=1, started_us=20_000_000, now_us=21_000_000) == 12
    assert elapsed_seconds(text, failures=0, started_us=20_000_000, now_us=21_000_000) == 1
    assert elapsed_seconds("", failures=3, started_us=None, now_us=21_000_000) == 0
