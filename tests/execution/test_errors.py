"""Exceptions as text that every store takes."""

from __future__ import annotations

from django_jobs.core.attempts import MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS
from django_jobs.execution.errors import describe


class RaisesInStr(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def caught(error: BaseException) -> BaseException:
    secret = "a local that must not be stored"
    try:
        raise error
    except type(error) as same:
        assert secret
        return same


def test_an_error_whose_str_raises_is_described_all_the_same() -> None:
    info = describe(caught(RaisesInStr()))

    assert info.error_class.endswith("test_errors.RaisesInStr")
    assert "its __str__ raised ZeroDivisionError" in info.message
    assert "in caught" in info.traceback


def test_nul_and_lone_surrogates_are_replaced() -> None:
    info = describe(caught(ValueError("a\0b\ud800c")))

    assert info.message == "a\N{REPLACEMENT CHARACTER}b?c"
    assert "\0" not in info.traceback
    assert info.traceback.encode()


def test_long_texts_are_cut_and_the_end_of_the_traceback_stays() -> None:
    info = describe(caught(ValueError("x" * 100_000 + "end")))

    assert len(info.message) == MAX_MESSAGE_CHARS
    assert len(info.traceback) == MAX_TRACEBACK_CHARS
    assert info.traceback.rstrip().endswith("end")


def test_the_cause_is_in_the_traceback_and_locals_are_not() -> None:
    error = ValueError("outer")
    error.__cause__ = caught(KeyError("inner"))

    text = describe(caught(error)).traceback

    assert "KeyError: 'inner'" in text
    assert "direct cause" in text
    assert "a local that must not be stored" not in text.replace('secret = "a local', "")
