"""What jobs say about themselves: which words are taken, how often they are written, and what becomes of the last."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from django_jobs.core.progress import Progress, check_progress, check_state, decode_progress, encode_progress
from django_jobs.exceptions import BrokerUnavailable, InvalidProgress, SerializationError
from django_jobs.execution import progress as module
from django_jobs.execution.context import Request
from django_jobs.execution.progress import Note, Progresses, listening


class Book:
    """What was written, in order."""

    def __init__(self) -> None:
        self.pages: list[list[Note]] = []
        self.written = threading.Event()
        self.is_shut = False

    def write(self, notes: Sequence[Note]) -> None:
        if self.is_shut:
            raise BrokerUnavailable("away")
        self.pages.append(list(notes))
        self.written.set()

    @property
    def last(self) -> Progress:
        return decode_progress(self.pages[-1][-1][2])


@pytest.fixture
def book() -> Book:
    return Book()


def test_progress_beyond_its_total_is_refused_and_nothing_is_told(book: Book) -> None:
    progresses = Progresses(book.write, threaded=False)
    request = Request(id="j", task="t", worker="w")
    with listening("w", progresses):
        with pytest.raises(InvalidProgress, match=r"done=11, total=10\): more is done than there is"):
            request.update_progress(11, 10)
        request.update_progress(10, 10)
    assert [note[:2] for page in book.pages for note in page] == [("j", 1)]


@pytest.mark.parametrize("given", [(-1, 10), (float("nan"), 10), ("1", 10), (True, 10), (1, -1), (None, 10)])
def test_what_is_no_amount_is_refused(given: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        check_progress(*given, "")


def test_meta_is_plain_and_small() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    told = Progress(**check_state("PROGRESS", {"at": noon}))
    assert decode_progress(encode_progress(told)).meta == {"at": noon}
    with pytest.raises(SerializationError, match=r"meta\.who"):
        check_state(None, {"who": object()})
    with pytest.raises(InvalidProgress, match="16,384"):
        check_state(None, "x" * 20_000)
    with pytest.raises(InvalidProgress, match="at most 50"):
        check_state("x" * 51, None)


def test_words_are_written_at_most_once_a_second_and_the_last_one_at_the_end(book: Book) -> None:
    progresses = Progresses(book.write, threaded=False)
    for done in range(1000):
        progresses.tell("j", 1, check_progress(done, 1000, ""))
    assert len(book.pages) == 1
    assert book.last.done == 0

    progresses.end("j")
    assert len(book.pages) == 2
    assert book.last.done == 999
    assert progresses.said == {}
    progresses.end("j")
    assert len(book.pages) == 2


def test_a_word_changes_what_was_said_before_in_the_same_attempt(book: Book) -> None:
    progresses = Progresses(book.write, threaded=False)
    progresses.tell("j", 1, check_progress(1, 2, "half"))
    progresses.tell("j", 1, check_state("PROGRESS", [7]))
    assert (progresses.said["j"][1].done, progresses.said["j"][1].meta) == (1, [7])
    progresses.tell("j", 2, check_state("AGAIN", None))
    progresses.end("j")
    assert (book.pages[-1][-1][1], book.last.done, book.last.state) == (2, None, "AGAIN")


def test_with_a_thread_nobody_waits_and_the_end_still_writes(book: Book) -> None:
    progresses = Progresses(book.write)
    progresses.tell("j", 1, check_progress(1, 2, ""))
    assert book.written.wait(5)
    progresses.tell("j", 1, check_progress(2, 2, ""))
    progresses.end("j")
    assert book.last.done == 2


def test_a_broker_that_is_away_costs_words_only(book: Book) -> None:
    progresses = Progresses(book.write, threaded=False)
    book.is_shut = True
    progresses.tell("j", 1, check_progress(1, 2, ""))
    progresses.end("j")
    assert book.pages == []


def test_a_job_that_runs_at_the_call_tells_nobody() -> None:
    Request(id="j", task="t", worker="eager").update_progress(1, 2)
    assert module._by_worker == {}
