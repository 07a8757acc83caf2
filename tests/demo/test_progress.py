"""What the progress bar writes, and when."""

from __future__ import annotations

import io
import re

import pytest

from testproject.demo.progress import Progress, wants_colour


def make(*, is_terminal: bool, colour: bool = False, width: int = 80, total: int = 10) -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    return Progress(output, total=total, now=0.0, is_terminal=is_terminal, colour=colour, width=width), output


def test_elsewhere_a_plain_line_comes_every_five_seconds_and_at_the_end() -> None:
    progress, output = make(is_terminal=False)

    for now, done in ((0.0, 0), (1.0, 1), (4.9, 3), (5.0, 5), (6.0, 9), (7.0, 10), (8.0, 10)):
        progress.update(done, "", now=now)

    assert output.getvalue().splitlines() == [
        "0 of 10 (0 %), 0 s",
        "5 of 10 (50 %), 5 s, about 5 s left",
        "10 of 10 (100 %), 7 s",
    ]


def test_a_terminal_gets_one_line_that_is_drawn_over() -> None:
    progress, output = make(is_terminal=True)

    progress.update(5, "about to say a lot", now=1.0)
    progress.update(5, "", now=2.0)

    assert "\n" not in output.getvalue()
    first, second = output.getvalue().split("\r")[1:]
    assert len(second) == len(first)
    assert second.startswith("[")
    assert second.endswith(" ")


def test_a_terminal_is_not_drawn_more_often_than_is_good_to_look_at() -> None:
    progress, output = make(is_terminal=True)

    progress.update(1, "", now=1.0)
    progress.update(2, "", now=1.05)

    assert output.getvalue().count("\r") == 1


@pytest.mark.parametrize("width", [10, 20, 40, 80, 300])
@pytest.mark.parametrize("done", [0, 5, 10])
def test_a_bar_is_never_wider_than_the_terminal(width: int, done: int) -> None:
    progress, _ = make(is_terminal=True, width=width)

    assert len(progress.bar(done, "waiting for something that takes a while", now=3.0)) < max(20, width)


def test_a_bar_is_full_at_the_end_and_empty_at_the_begin() -> None:
    progress, _ = make(is_terminal=True)

    assert re.search(r"\[\.+]", progress.bar(0, "", now=1.0))
    assert re.search(r"\[#+]", progress.bar(10, "", now=1.0))


def test_without_colour_there_is_no_escape_sequence() -> None:
    progress, output = make(is_terminal=True)

    progress.update(5, "", now=1.0)
    progress.message("the worker was killed")
    progress.clear()

    assert "\x1b" not in output.getvalue()


def test_with_colour_the_bar_is_erased_as_wide_as_it_is_seen() -> None:
    progress, output = make(is_terminal=True, colour=True)

    progress.update(5, "", now=1.0)
    drawn = output.getvalue()
    progress.clear()

    assert "\x1b[32m" in drawn
    visible = re.sub(r"\x1b\[\d+m", "", drawn).strip("\r")
    assert output.getvalue().removeprefix(drawn) == "\r" + " " * len(visible) + "\r"


def test_a_message_stands_on_a_line_of_its_own() -> None:
    progress, output = make(is_terminal=True)
    progress.update(5, "", now=1.0)

    progress.message("the worker was killed")

    assert output.getvalue().endswith("\rthe worker was killed\n")


def test_what_was_done_before_this_start_does_not_count_for_the_rate() -> None:
    progress, _ = make(is_terminal=False)
    progress.update(6, "", now=0.0)

    assert progress.seconds_left(6, now=2.0) is None
    assert progress.seconds_left(8, now=2.0) == pytest.approx(2.0)


def test_a_note_stands_where_the_guess_was() -> None:
    progress, _ = make(is_terminal=False)
    progress.update(0, "", now=0.0)

    assert progress.line(5, "", now=5.0) == "5 of 10 (50 %), 5 s, about 5 s left"
    assert progress.line(5, "waiting", now=5.0) == "5 of 10 (50 %), 5 s, waiting"


def test_an_audit_of_nothing_is_complete() -> None:
    progress, _ = make(is_terminal=True, total=0)

    assert "(100 %)" in progress.line(0, "", now=0.0)
    assert "#" in progress.bar(0, "", now=0.0)


@pytest.mark.parametrize(
    ("environ", "is_terminal", "colour"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environ: dict[str, str], is_terminal: bool, colour: bool) -> None:
    assert wants_colour(is_terminal=is_terminal, environ=environ) is colour
