"""The claim cursor: where each line was last taken from, so that a claim does not walk over the dead again.

While any snapshot is held (one idle transaction is enough) PostgreSQL can neither remove nor skip the dead rows at the
left edge of Ready, and a claim from the edge costs more with every job that was ever claimed. Once that shows, a claim
begins behind the last place that it took from in each (line, rank); ranks that are new are still seen at once, and a
full sweep from the edge, a few times a second, finds what was put back or was committed late. As long as sweeps are
cheap every claim is one, and the order is exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from django_jobs.backends.database.rows import READY

SWEEP_SECONDS: Final = 0.25
CHEAP_SWEEP_SECONDS: Final = 0.02
SLOW_SWEEPS: Final = 3
"""So many slow sweeps in a row are no accident."""
ROUND_SECONDS: Final = 0.002
JOB_SECONDS: Final = 80e-6
"""Twice what a round and each job in it cost where nothing is held: see docs/explanation/performance.md."""
MANY_JOBS: Final = 50
FEW_JOBS_SECONDS: Final = 0.1
"""What a round of fewer jobs takes says more about the machine than about the table."""
SWEEP_SHARE: Final = 20
"""A sweep may cost one twentieth of the time: under a held snapshot it gets slower, and then rarer."""
MOST_RANKS: Final = 8
MOST_LINES: Final = 8

ORDER: Final = "ORDER BY line, rank_no, at_us, job_id"
EDGE: Final = f"""SELECT r.ctid, r.body_bytes FROM unnest(%s::text[]) WITH ORDINALITY AS q(line, o)
        CROSS JOIN LATERAL (SELECT ctid, body_bytes FROM {READY} WHERE line = q.line
          {ORDER} LIMIT {{limit}} FOR UPDATE SKIP LOCKED) r
        LIMIT {{limit}}"""
ARM: Final = (
    f"SELECT * FROM (SELECT ctid, body_bytes FROM {READY} WHERE line = %s AND {{where}} {ORDER} LIMIT {{limit}}"
    " FOR UPDATE SKIP LOCKED) a{number}"
)


class ClaimCursor:
    """Remembers places per (line, rank) and says when to begin at the edge again."""

    def __init__(self) -> None:
        self._places: dict[str, dict[int, tuple[int, str]]] = {}
        self._sweep_at = 0.0
        self._affordable_at = 0.0
        self._slow = 0

    def pick(self, lines: list[str], limit: int) -> tuple[str, list[Any], bool]:
        """Return the SQL that picks rows, its parameters, and whether it sweeps from the edge."""
        known = [self._places.get(line, {}) for line in lines]
        cheap = self._slow < SLOW_SWEEPS
        if cheap or time.monotonic() >= self._sweep_at or not any(known) or len(lines) > MOST_LINES:
            return EDGE.format(limit=limit), [lines], True
        arms: list[str] = []
        params: list[Any] = []
        for line, places in zip(lines, known, strict=True):
            for where, values in _ranges(places):
                arms.append(ARM.format(where=where, limit=limit, number=len(arms)))
                params += [line, *values]
        return f"SELECT * FROM ({' UNION ALL '.join(arms)}) u LIMIT {limit}", params, False

    def took(
        self, rows: Iterable[tuple[str, int, int, str]], *, swept: bool, full: bool, seconds: float, jobs: int
    ) -> None:
        """Note the places (line, rank, at, id) that a claim took, and how long a round of so many `jobs` took.

        One that came back short off the edge has seen all there is behind the cursor: the next one sweeps, unless
        sweeps have become so slow that they must be rationed.
        """
        best: dict[tuple[str, int], tuple[int, str]] = {}
        for line, rank_no, at_us, job_id in rows:
            best[line, rank_no] = max(best.get((line, rank_no), (0, "")), (at_us, job_id))
        for (line, rank_no), place in best.items():
            places = self._places.setdefault(line, {})
            places[rank_no] = place
            if len(places) > MOST_RANKS:
                del self._places[line]
        if swept:
            limit = ROUND_SECONDS + JOB_SECONDS * jobs if jobs >= MANY_JOBS else FEW_JOBS_SECONDS
            self._slow = self._slow + 1 if seconds > limit else 0
            rationed = 0.0 if seconds < CHEAP_SWEEP_SECONDS else seconds * SWEEP_SHARE
            self._affordable_at = time.monotonic() + rationed
            self._sweep_at = time.monotonic() + max(SWEEP_SECONDS, rationed)
        if not full:
            self._sweep_at = self._affordable_at

    def seconds_to_sweep(self) -> float:
        """Return how long until the next claim begins at the edge."""
        return max(0.0, self._sweep_at - time.monotonic())


def _ranges(places: dict[int, tuple[int, str]]) -> list[tuple[str, list[Any]]]:
    """Return the conditions that cover a line behind its cursor: known ranks from their place, all others whole."""
    if not places:
        return [("true", [])]
    ranges: list[tuple[str, list[Any]]] = []
    before: int | None = None
    for rank_no in sorted(places):
        if before is None:
            ranges.append(("rank_no < %s", [rank_no]))
        elif rank_no > before + 1:
            ranges.append(("rank_no > %s AND rank_no < %s", [before, rank_no]))
        ranges.append(("rank_no = %s AND (at_us, job_id) > (%s, %s)", [rank_no, *places[rank_no]]))
        before = rank_no
    ranges.append(("rank_no > %s", [before]))
    return ranges
