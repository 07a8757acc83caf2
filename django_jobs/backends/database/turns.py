"""Turns inside a queue: the places of jobs that have a key for it.

What is known of a key is rows that are only inserted: the last one says where its next job stands. Nobody locks a row
that another enqueue needs, so that a caller's transaction that stays open for long holds up nobody; those who do not
see its rows yet may give the same places again, which costs nothing but their order. A row that the head of its line
has passed means nothing any more, and goes.

What was enqueued for later, failed, or waits for a limit gets its place when it is due: whoever promotes it finds it in
a line of its own, "~ queue", and moves it to where it belongs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import (
    GATE,
    JOB,
    LIMIT,
    READY,
    READY_COLUMNS,
    TURN,
    TURNS,
    JobRow,
    chunks,
    in_list,
    rank,
)  # fmt: skip
from django_jobs.core.fairness import begin_of, place_of

COLUMNS: Final = ("line", "rank_no", "name", "next_us", "job_id")
LEFT_BEHIND: Final = f"SELECT line FROM {READY} WHERE line >= '{TURNS}' AND line < '{GATE}!'"
"""Jobs that were promoted by somebody who did not come to the second step."""
AT_ONCE: Final = 500
NAMES_AT_ONCE: Final = 50
KEPT: Final = 16
"""Rows of one key, of which all but the last are dropped when so many are seen."""
DROPPED_AT_ONCE: Final = 64
KNOWN_HEADS: Final = 1000
LINES_SWEPT: Final = 200

Line = tuple[str, int]
"""Where jobs wait, and 100 - priority."""


def enter(
    engine: Engine, cursor: Any, rows: Sequence[tuple[JobRow, bool]], now_us: int
) -> list[tuple[JobRow, bool]]:  # fmt: skip
    """Return new jobs, each with whether it is due later, with the places of those that take turns from now on.

    Who waits for a limit gets its place when it is promoted, as it begins in Due.
    """
    starting = [row for row, later in rows if not later and row.gate is None and row.fair_key is not None]
    if not starting:
        return list(rows)
    placed = {row.id: row for row in _place(engine, cursor, starting, now_us)}
    return [(placed.get(row.id, row), later) for row, later in rows]


def _place(engine: Engine, cursor: Any, rows: Sequence[JobRow], now_us: int) -> list[JobRow]:
    begins: dict[Line, int] = {}
    names: dict[Line, set[str]] = {}
    for row in rows:
        line = _line(row)
        names.setdefault(line, set()).add(row.fair_key or "")
        if line not in begins:
            head_us = _head_us(engine, cursor, line, row.line, now_us)
            begins[line] = begin_of(head_us, None if head_us else _last_us(cursor, line), now_us)
    next_us = {line: _read(engine, cursor, line, wanted) for line, wanted in names.items()}
    placed = []
    for row in rows:
        line, name = _line(row), row.fair_key or ""
        place = place_of(begins[line], next_us[line].get(name))
        next_us[line][name] = place + 1
        placed.append(row._replace(place_us=place))
    return placed


def _line(row: JobRow) -> Line:
    return row.waiting_line, rank(row.priority)


def keep(engine: Engine, cursor: Any, rows: Iterable[JobRow]) -> None:
    """Note the places that were given to jobs: one row for each of their keys."""
    last: dict[tuple[str, int, str], JobRow] = {}
    for row in rows:
        if row.fair_key is not None and row.place_us is not None:
            last[*_line(row), row.fair_key] = row
    written = [(*key, row.place + 1, row.id) for key, row in last.items()]
    engine.insert(cursor, TURN, COLUMNS, written, ignore=True)


def _head_us(engine: Engine, cursor: Any, line: Line, queue_line: str, now_us: int) -> int | None:
    """Return the place of the first one of a line; where nobody waits for a limit, that of the queue behind it.

    It looks from where it found the last one: under a held snapshot PostgreSQL cannot skip the dead before it.
    """
    for name in dict.fromkeys((line[0], queue_line)):
        known = (name, line[1])
        begin_us = engine.heads.get(known, 0)
        cursor.execute(
            f"SELECT at_us FROM {READY} WHERE line = %s AND rank_no = %s AND at_us >= %s"
            " ORDER BY at_us, job_id LIMIT 1",
            [*known, begin_us if begin_us <= now_us else 0],
        )
        if (found := cursor.fetchone()) is not None:
            if len(engine.heads) >= KNOWN_HEADS:
                engine.heads.clear()
            engine.heads[known] = found[0]
            return int(found[0])
    return None


def _last_us(cursor: Any, line: Line) -> int | None:
    cursor.execute(f"SELECT MAX(next_us) FROM {TURN} WHERE line = %s AND rank_no = %s", line)
    found: int | None = cursor.fetchone()[0]
    return found


def _read(engine: Engine, cursor: Any, line: Line, names: Collection[str]) -> dict[str, int]:
    """Return the next places of keys that have one."""
    found: dict[str, int] = {}
    for chunk in chunks(sorted(names), NAMES_AT_ONCE):
        arm = f"SELECT name, next_us FROM {TURN} WHERE line = %s AND rank_no = %s AND name = %s ORDER BY next_us DESC"
        arms = [f"SELECT * FROM ({arm} LIMIT 1) a{number}" for number in range(len(chunk))]
        cursor.execute(" UNION ALL ".join(arms), [value for name in chunk for value in (*line, name)])
        found.update((row[0], row[1]) for row in cursor.fetchall())
    return found


# -- what has become due ---------------------------------------------------------------------------------------


def give(engine: Engine, cursor: Any, lines: Iterable[str], now_us: int) -> dict[str, str | None]:
    """Give those who stand in these lines "~ queue" their turns; return the limits to be opened for them, each with
    the last job that came to it.

    The rows in Ready are locked first, and nobody is waited for: what another one holds, that one moves or ends.
    """
    newest: dict[str, str | None] = {}
    for line in sorted(lines):
        waiting = {row[3]: row for row in engine.pick_ready(cursor, line, AT_ONCE)}
        rows = _free_rows(engine, cursor, list(waiting))
        in_order = [rows[job_id] for job_id in waiting if job_id in rows]
        if not in_order:
            continue
        placed = _place(engine, cursor, in_order, now_us)
        engine.delete_ready(cursor, [waiting[row.id][:4] for row in placed])
        engine.insert(cursor, READY, READY_COLUMNS, [row.ready(waiting[row.id][4]) for row in placed])
        cursor.executemany(f"UPDATE {JOB} SET place_us = %s WHERE id = %s", [(row.place_us, row.id) for row in placed])
        keep(engine, cursor, placed)
        newest.update((row.gate, row.id) for row in placed if row.gate is not None)
    return newest


def _free_rows(engine: Engine, cursor: Any, ids: Sequence[str]) -> dict[str, JobRow]:
    """Return the rows of jobs that nobody else changes at the moment, locked."""
    if ids and engine.for_update:
        cursor.execute(
            f"SELECT id FROM {JOB} WHERE id IN {in_list(len(ids))} ORDER BY id {engine.for_update} SKIP LOCKED",
            list(ids),
        )
        ids = [row[0] for row in cursor.fetchall()]
    return engine.read_jobs(cursor, ids)


def give_left_behind(engine: Engine, cursor: Any, now_us: int) -> dict[str, str | None]:
    """Give turns to those who were promoted by somebody who died before the second step."""
    cursor.execute(f"SELECT DISTINCT line FROM ({LEFT_BEHIND} LIMIT {AT_ONCE}) l")
    return give(engine, cursor, [row[0] for row in cursor.fetchall()], now_us)


# -- what is over ----------------------------------------------------------------------------------------------


def tidy(engine: Engine, cursor: Any, rows: Iterable[JobRow], now_us: int) -> None:
    """Drop what is needless in the lines of some of these jobs, one of 16, as their ids fall.

    Not inside a caller's transaction: a stricter isolation than ours might refuse to go on behind it.
    """
    lucky = [row for row in rows if row.place_us is not None and row.id.endswith("0")]
    for line, row in {_line(row): row for row in lucky}.items():
        _drop_replaced(engine, cursor, line, row.fair_key or "")
        head_us = engine.heads.get(line) or engine.heads.get((row.line, line[1]), now_us)
        _drop_passed(engine, cursor, line, head_us, DROPPED_AT_ONCE)


def _drop_replaced(engine: Engine, cursor: Any, line: Line, name: str) -> None:
    cursor.execute(
        f"SELECT name, next_us, job_id FROM {TURN} WHERE line = %s AND rank_no = %s AND name = %s"
        f" ORDER BY next_us DESC LIMIT {DROPPED_AT_ONCE}",
        [*line, name],
    )
    rows = cursor.fetchall()
    if len(rows) >= KEPT:
        _drop(engine, cursor, line, "name = %s AND next_us < %s", [name, rows[0][1]], DROPPED_AT_ONCE)


def _drop_passed(engine: Engine, cursor: Any, line: Line, head_us: int, limit: int) -> int:
    return _drop(engine, cursor, line, "next_us <= %s", [head_us], limit)


def _drop(engine: Engine, cursor: Any, line: Line, where: str, values: Sequence[Any], limit: int) -> int:
    """Delete rows that nobody else deletes at the moment.

    One by one: from a list of keys MariaDB may make a scan, which waits for rows that an open transaction has inserted.
    """
    skip = f"{engine.for_update} SKIP LOCKED" if engine.for_update else ""
    cursor.execute(
        f"SELECT name, next_us, job_id FROM {TURN} WHERE line = %s AND rank_no = %s AND {where}"
        f" ORDER BY next_us LIMIT %s {skip}",
        [*line, *values, limit],
    )
    rows = cursor.fetchall()
    if rows:
        cursor.executemany(
            f"DELETE FROM {TURN} WHERE line = %s AND rank_no = %s AND name = %s AND next_us = %s AND job_id = %s",
            [(*line, *row) for row in rows],
        )
    return len(rows)


def sweep(engine: Engine, cursor: Any, limit: int) -> int:
    """Drop the rows that the heads of their lines have passed, at most `limit` of each line; return how many."""
    now_us = engine.now_us(cursor)
    dropped = 0
    after: Line = ("", 0)
    for _ in range(LINES_SWEPT):
        cursor.execute(
            f"SELECT line, rank_no FROM {TURN} WHERE line > %s OR (line = %s AND rank_no > %s)"
            " ORDER BY line, rank_no LIMIT 1",
            [after[0], after[0], after[1]],
        )
        if (found := cursor.fetchone()) is None:
            break
        after = (found[0], found[1])
        head_us = _head_us(engine, cursor, after, after[0], now_us)
        if head_us is None and _is_known_limit(cursor, after[0]):
            continue  # those whom it has let through still wait in lines that are not looked at here
        dropped += _drop_passed(engine, cursor, after, now_us if head_us is None else head_us, limit)
    return dropped


def _is_known_limit(cursor: Any, line: str) -> bool:
    if not line.startswith(GATE):
        return False
    cursor.execute(f"SELECT 1 FROM {LIMIT} WHERE name = %s", [line.removeprefix(GATE)])
    return cursor.fetchone() is not None
