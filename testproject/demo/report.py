"""What an audit came to, as a value, as JSON, as HTML and in a few words. Pure: no database, no files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from django.template.loader import render_to_string

FORMAT_VERSION: Final = 1
UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One distribution in the report."""

    name: str
    version: str
    location: str
    files: int
    unhashed: int
    bytes: int
    missing: int
    altered: int
    unreadable: int
    has_record: bool
    error: str
    runs: int
    seconds: float
    findings: Sequence[dict[str, Any]] = ()

    @property
    def is_sound(self) -> bool:
        """Whether every file with a hash is as it was installed."""
        return not (self.missing or self.altered or self.unreadable or self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums over all distributions."""

    distributions: int
    without_record: int
    files: int
    unhashed: int
    bytes: int
    missing: int
    altered: int
    unreadable: int
    failed: int
    """Distributions whose job ended without a verdict."""

    @property
    def mismatches(self) -> int:
        """Files that are not as they were installed."""
        return self.missing + self.altered

    @property
    def is_sound(self) -> bool:
        """Whether every file with a hash could be read and is as it was installed."""
        return not (self.mismatches or self.unreadable or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished audit."""

    run: str
    host: str
    prefix: str
    python: str
    roots: Sequence[str]
    started_at: datetime
    finished_at: datetime
    totals: Totals
    lines: Sequence[Line] = field(default_factory=tuple)

    @property
    def seconds(self) -> float:
        """From the begin of the audit to its end, interruptions included."""
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


def total(lines: Sequence[Line]) -> Totals:
    """Return the sums over `lines`."""
    return Totals(
        distributions=len(lines),
        without_record=sum(not line.has_record for line in lines),
        files=sum(line.files for line in lines),
        unhashed=sum(line.unhashed for line in lines),
        bytes=sum(line.bytes for line in lines),
        missing=sum(line.missing for line in lines),
        altered=sum(line.altered for line in lines),
        unreadable=sum(line.unreadable for line in lines),
        failed=sum(bool(line.error) for line in lines),
    )


def headline(totals: Totals) -> str:
    """Say in one line what the audit came to."""
    if totals.is_sound:
        return f"{totals.distributions} distributions audited, every file is as it was installed"
    counts = {
        "missing files": totals.missing,
        "altered files": totals.altered,
        "unreadable files": totals.unreadable,
        "distributions without a verdict": totals.failed,
    }
    bad = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{totals.distributions} distributions audited: {bad}"


def to_json(report: Report) -> str:
    """Return the report as one JSON object with a `version`; times are ISO 8601, durations seconds."""
    document = {
        "version": FORMAT_VERSION,
        "run": report.run,
        "host": report.host,
        "prefix": report.prefix,
        "python": report.python,
        "roots": list(report.roots),
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at.isoformat(),
        "seconds": round(report.seconds, 3),
        "is_sound": report.totals.is_sound,
        "totals": {**asdict(report.totals), "mismatches": report.totals.mismatches},
        "distributions": [asdict(line) for line in report.lines],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_html(report: Report) -> str:
    """Return the report as one HTML page that needs no other file; everything from outside is escaped."""
    return render_to_string(
        "demo/report.html",
        {
            "report": report,
            "totals": report.totals,
            "headline": headline(report.totals),
            "size": format_bytes(report.totals.bytes),
            "rows": [(line, format_bytes(line.bytes)) for line in sorted(report.lines, key=lambda line: line.is_sound)],
        },
    )


def format_bytes(count: int) -> str:
    """Return `count` in the largest unit that leaves a number of at least 1, as `182.4 MiB`."""
    value = float(count)
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
