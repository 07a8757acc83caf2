"""The table that the demo ends with. Pure: values in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from testproject.demo.report import Report, format_bytes

MAX_NAMED: Final = 20
"""At most so many files are named on the terminal; the report has them all."""


def table(report: Report, *, seconds: float, jobs: int, places: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines of the table. `seconds` and `jobs` are those of this start; `places` end it, as (name, path)."""
    totals = report.totals
    distributions = f"{totals.distributions:,}"
    if totals.without_record:
        distributions += f" ({totals.without_record} without RECORD: nothing to compare with)"
    rows = [
        ("Distributions", distributions),
        ("Files", f"{totals.files:,} ({totals.unhashed:,} more have no hash)"),
        ("Bytes", f"{totals.bytes:,} ({format_bytes(totals.bytes)})"),
        ("Mismatches", f"{totals.mismatches:,} ({totals.missing:,} missing, {totals.altered:,} altered)"),
        *([("Unreadable", f"{totals.unreadable:,}")] if totals.unreadable else []),
        *([("No verdict", f"{totals.failed:,} distributions")] if totals.failed else []),
        ("Seconds", f"{seconds:.1f}"),
        ("Jobs per second", f"{jobs / seconds:.1f} ({jobs} jobs)" if seconds > 0 else f"- ({jobs} jobs)"),
        *places,
    ]
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def complaints(report: Report) -> Iterator[str]:
    """Yield a line for each file that is not as it was installed, and each distribution without a verdict."""
    lines = [
        *(f"{line.name} {line.version}: {line.error}" for line in report.lines if line.error),
        *(
            f"{finding['problem']}: {finding['path']} ({line.name} {line.version})"
            for line in report.lines
            for finding in line.findings
        ),
    ]
    for text in lines[:MAX_NAMED]:
        yield printable(text)
    if len(lines) > MAX_NAMED:
        yield f"... and {len(lines) - MAX_NAMED} more: see the report"


def printable(text: str) -> str:
    """Return `text` without control characters: a file's name must not steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
