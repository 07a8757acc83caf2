"""Walking and moving places in line: which lines hold something, and back in line from where jobs were parked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django_jobs.backends.database import gates
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import (
    ASIDE,
    DUE,
    GATE,
    JOB,
    PARKED,
    PAUSE,
    READY,
    READY_COLUMNS,
    SUSPECTS,
    in_list,
)  # fmt: skip


def ready_queues(engine: Engine, cursor: Any) -> tuple[list[str], bool]:
    """Walk the distinct lines of Ready by its index, one probe each, and add those of rows that are due.

    Paused ones are left out. Also says whether a row of a limit is due.
    """
    queues: set[str] = set()
    line = ""
    while True:
        cursor.execute(f"SELECT line FROM {READY} WHERE line > %s ORDER BY line LIMIT 1", [line])
        found = cursor.fetchone()
        if found is None or found[0].startswith((ASIDE, GATE)):
            break
        line = found[0]
        if line.startswith(PARKED):
            line = PARKED + "\U0010ffff"  # skip all that is parked
            continue
        queues.add(line.removeprefix(SUSPECTS))
    cursor.execute(
        f"SELECT DISTINCT line FROM (SELECT line FROM {DUE} WHERE at_us <= %s ORDER BY at_us LIMIT 500) d"
        f" UNION ALL SELECT target FROM {PAUSE}",  # with a space, as no line has that is asked for here
        [engine.now_us(cursor)],
    )
    found_due = [row[0] for row in cursor.fetchall()]
    gated = any(line.startswith(GATE) for line in found_due)
    pauses = {line for line in found_due if line.startswith(("queue ", "task "))}
    queues.update(line.removeprefix(SUSPECTS) for line in found_due if not line.startswith(GATE) and line not in pauses)
    return sorted(queue for queue in queues if f"queue {queue}" not in pauses), gated


def suspect_queues(cursor: Any) -> list[str]:
    """Walk the distinct lines of suspects: keys compare byte by byte, so that they stand together."""
    queues: list[str] = []
    line = SUSPECTS
    while True:
        cursor.execute(f"SELECT line FROM {READY} WHERE line > %s ORDER BY line LIMIT 1", [line])
        found = cursor.fetchone()
        if found is None or not found[0].startswith(SUSPECTS):
            return without_paused(cursor, queues) if queues else []
        line = found[0]
        queues.append(line.removeprefix(SUSPECTS))


def without_paused(cursor: Any, queues: Collection[str]) -> list[str]:
    """Return those of some queues that are not paused."""
    cursor.execute(f"SELECT target FROM {PAUSE}")
    pauses = {row[0] for row in cursor.fetchall()}
    return [queue for queue in queues if f"queue {queue}" not in pauses]


def unpark(engine: Engine, cursor: Any, tasks: Collection[str]) -> int:
    """Move jobs that were parked under `tasks` back to their queues."""
    moved = 0
    for task in sorted(tasks):
        while parked := engine.pick_ready(cursor, PARKED + task, 500):
            engine.delete_ready(cursor, [row[:4] for row in parked])
            rows = engine.read_jobs(cursor, [row[3] for row in parked], lock=True)
            back = [rows[row[3]]._replace(parked=False).ready(row[4]) for row in parked if row[3] in rows]
            engine.insert(cursor, READY, READY_COLUMNS, back)
            waiting = {row.gate: row.id for row in rows.values() if row.gate is not None}
            gates.open_gates(engine, cursor, waiting, engine.now_us(cursor))
            ids = list(rows)
            cursor.execute(f"UPDATE {JOB} SET parked = %s WHERE id IN {in_list(len(ids))}", [False, *ids])
            moved += len(back)
    return moved
