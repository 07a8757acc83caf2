"""Pausing: a paused queue's line is not asked, a paused task's jobs are put aside when a claim meets them.

These then stand in a line of their own, "}t task", at the same place; so do, in "}q queue", limited jobs of a paused
queue, which must not have a place that others could have. Each claim reads what is paused in a statement that it makes
anyway, and notes it in `Engine.pauses`: whoever lets jobs in goes by that, and what he lets in too much a sweep takes
back. A sweep also returns what was put aside while its pause ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from django_jobs.backends.database import gates
from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import (
    ASIDE,
    GATE,
    JOB,
    PAUSE,
    READY,
    READY_COLUMNS,
    SLOT,
    SUSPECTS,
    aside_line,
    chunks,
    in_list,
)  # fmt: skip
from django_jobs.core.pause import Pause, Target

COLUMNS: Final = ("target", "since_us", "paused_by", "reason")
BACK_AT_ONCE: Final = 500
ROWS_PER_STATEMENT: Final = 500


def pause(engine: Engine, cursor: Any, target: Target, *, by: str, reason: str) -> bool:
    """Pause; False where it is paused already. It is known to every statement that begins after the commit."""
    row = (str(target), engine.now_us(cursor), by, reason)
    return engine.insert_new(cursor, PAUSE, COLUMNS, row)


def resume(connection: Connection, make_engine: Callable[[], Engine], target: Target) -> bool:
    """End a pause, then put back in steps what was put aside; False where it was not paused."""

    def end(cursor: Any) -> bool:
        cursor.execute(f"DELETE FROM {PAUSE} WHERE target = %s", [str(target)])
        was = bool(cursor.rowcount == 1)
        if target.kind == "queue":
            make_engine().notify(cursor, [target.name])
        return was

    was = connection.transaction(end)
    put_back_all(connection, make_engine, aside_line(target))
    return was


def paused(cursor: Any) -> list[Pause]:
    """Return what is paused, queues first, by name."""
    cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {PAUSE} ORDER BY target")
    return [
        Pause(kind=target.kind, name=target.name, since_us=since_us, by=by, reason=reason)
        for target, since_us, by, reason in ((Target.parse(row[0]), *row[1:]) for row in cursor.fetchall())
    ]


def read(engine: Engine, cursor: Any) -> Collection[str]:
    """Read what is paused, and note it for those who let jobs in."""
    cursor.execute(f"SELECT target FROM {PAUSE}")
    engine.pauses = frozenset(row[0] for row in cursor.fetchall())
    return engine.pauses


# -- putting aside ---------------------------------------------------------------------------------------------


def keep_back(engine: Engine, cursor: Any, places: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Put aside those of some locked rows of Ready whose jobs are paused; return the others, in their order.

    The place that one has at its limit goes to the next.
    """
    held: dict[str, tuple[str, str | None]] = {}
    for chunk in chunks([place[3] for place in places], ROWS_PER_STATEMENT):
        cursor.execute(f"SELECT id, queue, task, gate FROM {JOB} WHERE id IN {in_list(len(chunk))}", list(chunk))
        for job_id, queue, task, gate in cursor.fetchall():
            for target in (Target("queue", queue), Target("task", task)):
                if str(target) in engine.pauses:
                    held[job_id] = (aside_line(target), gate)
                    break
    aside = [place for place in places if place[3] in held]
    if not aside:
        return list(places)
    engine.delete_ready(cursor, [place[:4] for place in aside])
    engine.insert(cursor, READY, READY_COLUMNS, [(held[place[3]][0], *place[1:]) for place in aside])
    had = [(gate, place[3]) for place in aside if (gate := held[place[3]][1]) and not place[0].startswith(GATE)]
    if had:
        gates.leave(cursor, had)
        gates.open_gates(engine, cursor, {gate: None for gate, _ in had}, engine.now_us(cursor))
    return [place for place in places if place[3] not in held]


def take_back_places(engine: Engine, cursor: Any) -> None:
    """Put aside limited jobs that were let in before the pause, or by somebody who did not know of it."""
    for kind, column in (("queue", "queue"), ("task", "task")):
        names = [Target.parse(target).name for target in engine.pauses if target.startswith(f"{kind} ")]
        if not names:
            continue
        cursor.execute(
            f"SELECT s.job_id FROM {SLOT} s JOIN {JOB} j ON j.id = s.job_id"
            f" WHERE j.{column} IN {in_list(len(names))} LIMIT {BACK_AT_ONCE}",
            names,
        )
        rows = engine.read_jobs(cursor, [row[0] for row in cursor.fetchall()])
        waiting = [place for row in rows.values() if (place := _locked(engine, cursor, row.let_in(0)[:4])) is not None]
        if waiting:
            keep_back(engine, cursor, waiting)


def _locked(engine: Engine, cursor: Any, key: Sequence[Any]) -> tuple[Any, ...] | None:
    """Lock a row of Ready and return it; None where it is gone, or somebody else is just taking it."""
    skip = f"{engine.for_update} SKIP LOCKED" if engine.for_update else ""
    cursor.execute(
        f"SELECT {', '.join(READY_COLUMNS)} FROM {READY}"
        f" WHERE line = %s AND rank_no = %s AND at_us = %s AND job_id = %s {skip}",
        key,
    )
    found = cursor.fetchone()
    return None if found is None else tuple(found)


# -- putting back ----------------------------------------------------------------------------------------------


def put_back_all(connection: Connection, make_engine: Callable[[], Engine], line: str) -> None:
    """Return all jobs of a line of those that were put aside, in steps."""
    while connection.transaction(lambda cursor: _put_back(make_engine(), cursor, line)):
        pass


def _put_back(engine: Engine, cursor: Any, line: str) -> int:
    places = engine.pick_ready(cursor, line, BACK_AT_ONCE)
    if not places:
        return 0
    read(engine, cursor)
    # Their rows are locked, as for every way back: a cancel that looks for a place finds the old one or the new one.
    rows = engine.read_jobs(cursor, [place[3] for place in places], lock=True)
    engine.delete_ready(cursor, [place[:4] for place in places])
    back = [rows[place[3]].ready(place[4]) for place in places if place[3] in rows]
    engine.insert(cursor, READY, READY_COLUMNS, back)
    waiting = {row.gate: row.id for row in rows.values() if row.gate is not None}
    if waiting:
        gates.open_gates(engine, cursor, waiting, engine.now_us(cursor))
    engine.notify(cursor, {row.queue for row in rows.values()})
    return len(places)


def lines_put_aside(cursor: Any) -> list[str]:
    """Walk the distinct lines of what was put aside, one probe of the index each."""
    lines: list[str] = []
    line = ASIDE
    while True:
        cursor.execute(f"SELECT line FROM {READY} WHERE line > %s ORDER BY line LIMIT 1", [line])
        found = cursor.fetchone()
        if found is None or not found[0].startswith(ASIDE):
            return lines
        line = found[0]
        lines.append(line)


def is_any_put_aside(cursor: Any) -> bool:
    """Say whether any job waits for the end of a pause in a line of its own."""
    cursor.execute(f"SELECT 1 FROM {READY} WHERE line > %s AND line < %s LIMIT 1", [ASIDE, GATE])
    return cursor.fetchone() is not None


def sweep(connection: Connection, make_engine: Callable[[], Engine]) -> None:
    """Do what somebody has left undone on his way: see the head of this module."""

    def look(cursor: Any) -> list[str]:
        engine = make_engine()
        held = {aside_line(Target.parse(target)) for target in read(engine, cursor)}
        if engine.pauses:
            take_back_places(engine, cursor)
        return [line for line in lines_put_aside(cursor) if line not in held]

    for line in connection.transaction(look):
        put_back_all(connection, make_engine, line)


def without_paused(lines: Sequence[str], pauses: Collection[str]) -> list[str]:
    """Return those of some lines of queues and suspects that may be asked."""
    return [line for line in lines if f"queue {line.removeprefix(SUSPECTS)}" not in pauses]
