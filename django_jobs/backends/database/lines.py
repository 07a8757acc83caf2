"""From which lines a claim takes, in which order, and how much of it fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from django_jobs.backends.database.rows import SUSPECTS
from django_jobs.core.claim import Want

NOTHING_PAUSED: Final[frozenset[str]] = frozenset()


def lines_of(want: Want, pauses: Collection[str] = NOTHING_PAUSED) -> list[str]:
    """Return the lines that a claim takes from, in order; not those of paused queues."""
    ordinary = [queue for queue in want.queues if f"queue {queue}" not in pauses] if pauses else list(want.queues)
    return [SUSPECTS + queue for queue in ordinary] + ordinary if want.suspects else ordinary


def within(found: Sequence[tuple[Any, ...]], room: int, *, first: bool) -> tuple[list[tuple[Any, ...]], int]:
    """Return the rows whose bodies fit into `room` bytes (the very first always does), and the room that is left."""
    fitting: list[tuple[Any, ...]] = []
    for row in found:
        if row[5] > room and not (first and not fitting):
            break
        fitting.append(row)
        room -= row[5]
    return fitting, room
