"""Limits: jobs of one key wait in a line of their own, "~key", and are let through under the lock of the key.

A limited job is enqueued as due, and whoever promotes what is due lets in who may: so an enqueue, whose transaction
may stay open for long, holds no lock of a limit, and a claim of other jobs meets neither those that wait nor their
keys. Who ends a claim lets the next one through in the same transaction. A rate puts a timer into Due, a row without a
job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django_jobs.backends.database import turns
from django_jobs.backends.database.engine import ASIDE_AT_ONCE, Engine
from django_jobs.backends.database.rows import (
    ASIDE,
    DUE,
    DUE_COLUMNS,
    GATE,
    JOB,
    LIMIT,
    PAUSE,
    READY,
    READY_COLUMNS,
    SLOT,
    TIMER_RANK,
    in_list,
)  # fmt: skip
from django_jobs.core.bounds import Limit, bounds_of
from django_jobs.core.rate import Rate, allowance, opens_us, outstanding

AT_ONCE: Final = 100
"""At most so many are let through in one step; a timer lets in the rest."""
BUSY_US: Final = 200_000
"""Before another look where workers have not claimed what was let through."""
SOON_US: Final = 1_000


class State(NamedTuple):
    """A row of Limit."""

    slots: int | None
    period_us: int | None
    burst: int
    next_us: int
    timer_us: int

    @property
    def rate(self) -> Rate | None:
        return None if self.period_us is None else Rate(self.period_us, self.burst)


STATE: Final = ", ".join(State._fields)


def open_gates(engine: Engine, cursor: Any, newest: Mapping[str, str | None], now_us: int) -> int:
    """Let jobs through at these lines, in one order everywhere; return how many.

    `newest` maps a line to the id of the last job that came to it, whose limit counts from now on for all of them.
    """
    rows = engine.read_jobs(cursor, [job_id for job_id in newest.values() if job_id is not None])
    through = 0
    for line in sorted(newest):
        row = rows.get(newest[line] or "")
        bounds = bounds_of(row.body) if row is not None else None
        through += _open(engine, cursor, line, bounds.limit if bounds else None, now_us)
    return through


def _open(engine: Engine, cursor: Any, line: str, limit: Limit | None, now_us: int) -> int:
    name = line.removeprefix(GATE)
    state = _lock(engine, cursor, name, limit)
    if state is None:
        return 0
    starts, next_us = _starts(engine, cursor, name, state, now_us)
    through, full = _let_through(engine, cursor, name, line, starts, now_us)
    if state.period_us is not None:
        next_us += state.period_us * through
    waiting = _is_anybody_there(cursor, READY, "line", line)
    timer_us = _time(engine, cursor, line, state, next_us, now_us, full=full) if waiting else 0
    if not waiting and next_us <= now_us and not _is_anybody_there(cursor, SLOT, "name", name):
        cursor.execute(f"DELETE FROM {LIMIT} WHERE name = %s", [name])
    elif (next_us, timer_us) != (state.next_us, state.timer_us):
        cursor.execute(f"UPDATE {LIMIT} SET next_us = %s, timer_us = %s WHERE name = %s", [next_us, timer_us, name])
    return through


def _let_through(engine: Engine, cursor: Any, name: str, line: str, starts: int, now_us: int) -> tuple[int, bool]:
    """Let at most `starts` in, and put aside who is paused; return how many, and whether it was cut short."""
    through = aside = 0
    while through < starts and aside < ASIDE_AT_ONCE:
        rows = engine.pick_ready(cursor, line, starts - through)
        mine = engine.keep_back(cursor, rows) if engine.pauses and rows else rows
        if mine:
            _let_in(engine, cursor, name, mine, now_us)
        through += len(mine)
        aside += len(rows) - len(mine)
        if len(mine) == len(rows):
            break
    return through, through == AT_ONCE or aside >= ASIDE_AT_ONCE


def _lock(engine: Engine, cursor: Any, name: str, limit: Limit | None) -> State | None:
    """Lock the row of a key, with the limit that was given last; None where nothing is known of it."""
    if limit is not None:
        columns = ("name", *State._fields)
        engine.insert_new(cursor, LIMIT, columns, (name, limit.slots, limit.period_us, limit.burst, 0, 0))
    cursor.execute(f"SELECT {STATE} FROM {LIMIT} WHERE name = %s {engine.for_update}", [name])
    row = cursor.fetchone()
    if row is None:
        return None
    state = State._make(row)
    if limit is None or (limit.slots, limit.period_us, limit.burst) == state[:3]:
        return state
    cursor.execute(
        f"UPDATE {LIMIT} SET slots = %s, period_us = %s, burst = %s WHERE name = %s",
        [limit.slots, limit.period_us, limit.burst, name],
    )
    return state._replace(slots=limit.slots, period_us=limit.period_us, burst=limit.burst)


def _starts(engine: Engine, cursor: Any, name: str, state: State, now_us: int) -> tuple[int, int]:
    """Return how many may be let through now, and where the pace stands before them."""
    free = AT_ONCE
    if state.slots is not None:
        cursor.execute(f"SELECT COUNT(*) FROM {SLOT} WHERE name = %s", [name])
        free = min(free, state.slots - cursor.fetchone()[0])
    rate = state.rate
    if rate is None:
        return free, state.next_us
    waited = state.timer_us == opens_us(rate, state.next_us)  # for the rate, and for nothing else
    allowed = allowance(rate, state.next_us, now_us, waited=waited)
    free = min(free, allowed.starts)
    if free > 0:
        most = outstanding(rate)
        free = min(free, most - _unclaimed(engine, cursor, name, most))
    return free, allowed.next_us


def _unclaimed(engine: Engine, cursor: Any, name: str, most: int) -> int:
    """Return how many of those that were let through last are still in line."""
    cursor.execute(f"SELECT job_id FROM {SLOT} WHERE name = %s ORDER BY let_in_us DESC LIMIT %s", [name, most])
    found = 0
    for row in engine.read_jobs(cursor, [row[0] for row in cursor.fetchall()]).values():
        cursor.execute(
            f"SELECT 1 FROM {READY} WHERE line = %s AND rank_no = %s AND at_us = %s AND job_id = %s",
            row.let_in(0)[:4],
        )
        found += cursor.fetchone() is not None
    return found


def _let_in(engine: Engine, cursor: Any, name: str, places: Sequence[tuple[Any, ...]], now_us: int) -> None:
    engine.delete_ready(cursor, [place[:4] for place in places])
    rows = engine.read_jobs(cursor, [place[3] for place in places])
    found = [(rows[place[3]], place[4]) for place in places if place[3] in rows]
    engine.insert(cursor, SLOT, ("name", "job_id", "let_in_us"), [(name, row.id, now_us) for row, _ in found])
    engine.insert(cursor, READY, READY_COLUMNS, [row.let_in(attempt) for row, attempt in found])
    engine.notify(cursor, {row.queue for row, _ in found})


def _time(engine: Engine, cursor: Any, line: str, state: State, next_us: int, now_us: int, *, full: bool) -> int:
    """Put a timer into Due for those who still wait, unless one is running; return its instant, 0 for none."""
    rate = state.rate
    if rate is None and not full:
        return 0  # who ends a job lets the next one through
    at_us = now_us if rate is None else opens_us(rate, next_us)
    if at_us <= now_us:
        at_us = now_us + (SOON_US if full else BUSY_US)
    if now_us < state.timer_us <= at_us:
        return state.timer_us
    row = (at_us, timer_id(line), line, TIMER_RANK, 0, 0)
    engine.insert(cursor, DUE, DUE_COLUMNS, [row], ignore=True)
    return at_us


def timer_id(line: str) -> str:
    """Return what stands for a job's id in the timer of a line; no job's id begins like it."""
    return GATE + hashlib.sha256(line.encode()).hexdigest()[:40]


def _is_anybody_there(cursor: Any, table: str, column: str, value: str) -> bool:
    cursor.execute(f"SELECT 1 FROM {table} WHERE {column} = %s LIMIT 1", [value])
    return cursor.fetchone() is not None


def leave(cursor: Any, members: Collection[tuple[str, str]]) -> None:
    """Free the places of (line, job id), those that have one."""
    for line, job_id in sorted(members):
        cursor.execute(f"DELETE FROM {SLOT} WHERE name = %s AND job_id = %s", [line.removeprefix(GATE), job_id])


# -- what others should have done ------------------------------------------------------------------------------


def are_there_any(cursor: Any) -> tuple[bool, bool]:
    """Say whether a limit has a state or a due job waits for its turn, and whether anything is paused or put aside."""
    cursor.execute(
        f"SELECT (SELECT 1 FROM {LIMIT} LIMIT 1), (SELECT 1 FROM {PAUSE} LIMIT 1), ({turns.LEFT_BEHIND} LIMIT 1),"
        f" (SELECT 1 FROM {READY} WHERE line > '{ASIDE}' AND line < '{GATE}' LIMIT 1)"
    )
    limit, pause, left, aside = cursor.fetchone()
    return limit is not None or left is not None, pause is not None or aside is not None


def sweep(engine: Engine, cursor: Any, after: str, limit: int) -> tuple[str, int]:
    """Let in at the next keys behind `after`; return the last one that was looked at ("" for the end), and how many."""
    now_us = engine.now_us(cursor)
    cursor.execute(f"SELECT name FROM {LIMIT} WHERE name > %s ORDER BY name LIMIT %s", [after, limit])
    names = [row[0] for row in cursor.fetchall()]
    through = open_gates(engine, cursor, turns.give_left_behind(engine, cursor, now_us), now_us)
    for name in names:
        _drop_dead(engine, cursor, name)
        through += open_gates(engine, cursor, {GATE + name: None}, now_us)
    return names[-1] if len(names) == limit else "", through


def _drop_dead(engine: Engine, cursor: Any, name: str) -> None:
    """A member whose job is not live, since somebody has deleted its row by hand, is free."""
    cursor.execute(
        f"SELECT s.job_id FROM {SLOT} s LEFT JOIN {JOB} j ON j.id = s.job_id WHERE s.name = %s AND j.id IS NULL",
        [name],
    )
    dead = [row[0] for row in cursor.fetchall()]
    if dead:
        cursor.execute(f"DELETE FROM {SLOT} WHERE name = %s AND job_id IN {in_list(len(dead))}", [name, *dead])


def newest_of(due: Sequence[tuple[Any, ...]]) -> dict[str, str | None]:
    """Return the lines of limits among rows of Due, each with the last job that came to it (None: a timer)."""
    newest: dict[str, str | None] = {}
    for _, job_id, line, rank_no, *_ in sorted(due):
        if line.startswith(GATE):
            newest[line] = newest.get(line) if rank_no == TIMER_RANK else job_id
    return newest
