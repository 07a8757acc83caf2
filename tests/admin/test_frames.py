"""A traceback's own frames are told from those of libraries, and nothing of it is lost."""

from __future__ import annotations

import json
import traceback

import pytest

from django_jobs.admin.frames import Frame, read_traceback
from tests.admin.conftest import TRACEBACK


def test_frames_of_libraries_are_folded_beside_the_projects_own() -> None:
    parts = read_traceback(TRACEBACK)
    assert [(part.text, [frame.line for frame in part.frames], part.is_folded) for part in parts] == [
        ("Traceback (most recent call last):", [], False),
        ("", ["12"], False),
        ("", ["115", "707"], True),
        ("TimeoutError: timed out", [], False),
    ]
    assert parts[1].frames[0] == Frame(
        file="/srv/shop/jobs.py", line="12", function="send", code="post(order)\n    ^^^^^^^"
    )
    assert parts[2].packages == "requests, socket"


def test_nothing_is_folded_where_the_project_has_no_frame() -> None:
    text = TRACEBACK.replace("/srv/shop/", "/usr/lib/python3.12/")
    assert [part.is_folded for part in read_traceback(text)] == [False, False, False]


def test_a_chain_of_errors_keeps_its_order_and_its_text() -> None:
    try:
        try:
            json.loads("<")
        except ValueError as error:
            raise RuntimeError("first\n\n  second line") from error
    except RuntimeError:
        text = traceback.format_exc()
    parts = read_traceback(text)
    said = "\n".join(part.text for part in parts)
    assert "The above exception was the direct cause" in said
    assert said.endswith("RuntimeError: first\n\n  second line")
    assert [frame.function for part in parts if not part.is_folded for frame in part.frames] == [
        "test_a_chain_of_errors_keeps_its_order_and_its_text",
        "test_a_chain_of_errors_keeps_its_order_and_its_text",
    ]
    assert any(part.packages == "json" for part in parts if part.is_folded)


def test_repeated_lines_and_groups_belong_to_their_frames() -> None:
    text = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/srv/a.py", line 1, in f\n'
        "  |     f()\n"
        "  |   [Previous line repeated 996 more times]\n"
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
    )
    first, frame, last = read_traceback(text)
    assert frame.frames[0].code.splitlines()[-1] == "[Previous line repeated 996 more times]"
    assert "f()" in frame.frames[0].code
    assert (first.text.strip(), last.text.strip()) == (
        "+ Exception Group Traceback (most recent call last):",
        "| ExceptionGroup: two (2 sub-exceptions)",
    )


@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        ("/srv/shop/jobs.py", True),
        ("/srv/library/python/jobs.py", True),
        ("C:\\shop\\jobs.py", True),
        ("C:\\venv\\Lib\\site-packages\\requests\\api.py", False),
        ("/usr/lib/python3/dist-packages/requests/api.py", False),
        ("/usr/lib64/python3.13/json/__init__.py", False),
        ("<frozen importlib._bootstrap>", False),
        ("/srv/checkout/django_jobs/execution/executor.py", False),
        ("/srv/django_jobs/shop/jobs.py", True),
    ],
)
def test_a_path_says_whose_a_frame_is(path: str, is_own: bool) -> None:
    assert Frame(file=path, line="1", function="f", code="").is_own is is_own


@pytest.mark.parametrize("text", ["", "no traceback", 'File "unfinished', "\n\n", "x" * 70_000])
def test_what_is_no_traceback_comes_back_as_text(text: str) -> None:
    assert "\n".join(part.text for part in read_traceback(text)) == "\n".join(text.splitlines())
