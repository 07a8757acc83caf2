"""Text for terminals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.management.jobs.text import age, iso, one_line, printable, table


@given(st.text())
def test_nothing_that_a_terminal_obeys_comes_through(text: str) -> None:
    assert all(character.isprintable() or character in "\n " or character.isspace() for character in printable(text))
    assert not set(printable(text)) & set(map(chr, [*range(10), *range(11, 32), 127, *range(128, 160), 0x202E, 0x2066]))


def test_what_is_printable_stays() -> None:
    assert printable("Grüße, 世界 …") == "Grüße, 世界 …"
    assert printable("a\nb") == "a\nb"
    assert one_line(" a\n\tb ") == "a b"
    assert printable("\x1b[2J\u202e") == "\\x1b[2J\\u202e"


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=200)), max_size=5))
def test_a_table_never_is_wider_than_the_terminal(rows: list[tuple[str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        lines = list(table(("FIRST", "SECOND"), [(one_line(first)[:20], second) for first, second in rows], flexible=1))
    assert len(lines) == len(rows) + 1
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"),
        (5.4, "5s"),
        (119, "119s"),
        (120, "2m"),
        (7_199, "120m"),
        (7_200, "2h"),
        (172_800, "2d"),
        (-300, "-5m"),
    ],
)
def test_an_age_has_its_largest_unit(seconds: float, told: str) -> None:
    assert age(seconds) == told


def test_an_instant_keeps_its_microseconds() -> None:
    assert iso(None) is None
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_900_000_000_123_456) == "2030-03-17T17:46:40.123456Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"
