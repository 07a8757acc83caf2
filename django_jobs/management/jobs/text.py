"""Text for terminals: tables that fit, ages, and nothing in it that a terminal would obey."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

GAP: Final = "  "
NARROWEST: Final = 8
NARROWEST_TERMINAL: Final = 80


def printable(text: str) -> str:
    """Return `text` with control and format characters (escape, bell, bidi overrides, ...) written as escapes.

    Line feeds stay: who wants one line passes one.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character == "\n" or not unicodedata.category(character).startswith(("C", "Zl", "Zp")):
        return character
    return character.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Return `text` printable and with every run of white space as one space."""
    return printable(" ".join(text.split()))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, flexible: int) -> Iterator[str]:
    """Yield the lines of a table no wider than the terminal (80 where there is none).

    The column `flexible` gives way: its texts lose their beginning, since the ends of task names tell them apart.
    """
    cells = [[one_line(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    width = max(NARROWEST_TERMINAL, shutil.get_terminal_size((NARROWEST_TERMINAL, 24)).columns)
    others = sum(widths) - widths[flexible] + len(GAP) * (len(widths) - 1)
    widths[flexible] = min(widths[flexible], max(NARROWEST, width - others))
    for row in (headers, *cells):
        yield GAP.join(_fitted(text, size) for text, size in zip(row, widths, strict=True)).rstrip()


def _fitted(text: str, size: int) -> str:
    return text.ljust(size) if len(text) <= size else f"…{text[len(text) - size + 1 :]}"


def age(seconds: float) -> str:
    """Return a duration in its largest unit: 5s, 12m, 3h, 2d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def iso(microseconds: int | None) -> str | None:
    """Return an instant in microseconds since 1970 as ISO 8601 in UTC."""
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat().replace("+00:00", "Z")
