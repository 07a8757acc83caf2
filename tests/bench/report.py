"""Figures as people read them: Markdown tables, and the places of a page where they belong."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.errors import BenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text; the first column is aligned left, the others right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    """How many columns are aligned left."""
    notes: Sequence[str] = field(default_factory=tuple)

    def __str__(self) -> str:
        aligned = ["---" if index < self.left else "--:" for index in range(len(self.heads))]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.heads, *self.rows)]
        lines.insert(1, f"|{'|'.join(aligned)}|")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def median(values: Sequence[float]) -> float:
    """Return the median; not a number where there is none."""
    return statistics.median(values) if values else math.nan


def number(value: float, *, unit: str = "") -> str:
    """Write a number with about three digits, or a dash for what is not known."""
    if math.isnan(value):
        return "-"
    size = abs(value)
    digits = 0 if size >= 30 else 1 if size >= 3 else 2
    return f"{value:,.{digits}f}{unit}"


def spread(values: Sequence[float]) -> str:
    """Write the median, and between which values it lies."""
    if len(values) < 2:
        return f"**{number(median(values))}**"
    return f"**{number(median(values))}** ({number(min(values))} to {number(max(values))})"


def percent(values: Sequence[float]) -> str:
    """Write a median with its greatest value, in whole percent; a little below 0 is rounding of the clocks."""
    return (
        f"{max(0.0, median(values)):.0f} (at most {max(0.0, *values, 0.0):.0f})"
        if len(values) > 1
        else number(max(0.0, median(values)))
    )


def place_in(page: Path, name: str) -> re.Match[str]:
    """Find what stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`.

    Raises:
        BenchError: the page does not have exactly one such place.
    """
    begin = f"<!-- figures: {name} -->"
    found = list(re.finditer(rf"{re.escape(begin)}\n(.*?)<!-- end of figures -->", page.read_text(), re.DOTALL))
    if len(found) != 1:
        raise BenchError(f"{page} has {len(found)} places that begin with {begin!r}, and not one.")
    return found[0]


def put_into(page: Path, name: str, text: str) -> None:
    """Put `text` into the place of `place_in`, instead of what is there."""
    place = place_in(page, name)
    page.write_text(f"{place.string[: place.start(1)]}\n{text}\n\n{place.string[place.end(1) :]}")
