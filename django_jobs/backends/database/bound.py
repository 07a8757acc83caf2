"""Taking in jobs that are bound to others: one by one, since each looks at what those before it have taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django_jobs.backends.database import people, turns, uniques
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.rows import (
    DUE,
    DUE_COLUMNS,
    JOB,
    JOB_COLUMNS,
    READY,
    READY_COLUMNS,
    SOON_US,
    JobRow,
    chunks,
    new_job,
)  # fmt: skip
from django_jobs.core.message import Message
from django_jobs.ports.broker import Taken, key_is_held

SAVEPOINT: Final = "django_jobs_bound"


def enqueue(engine: Engine, cursor: Any, messages: Sequence[Message], *, raises: bool, tidies: bool) -> list[Taken]:
    """Insert jobs that are new and whose keys are free; say which job stands for each message.

    `tidies`: the transaction is ours, so that it may also drop what is not needed any more.

    Raises:
        UniqueConflict: where `raises`; then nothing is inserted, in the caller's transaction either.
    """
    if all(message.bounds is None or message.bounds.only_fair for message in messages):
        return _take_in_free(engine, cursor, messages, tidies=tidies)
    guarded = raises and any(map(_asks_to_be_told, messages))
    if guarded:
        cursor.execute(f"SAVEPOINT {SAVEPOINT}")
    taken = []
    now_us = engine.now_us(cursor)
    for number, message in enumerate(messages):
        answer = _take_in(engine, cursor, message, now_us, order=number % SOON_US)
        if guarded and answer.id != message.id and _asks_to_be_told(message):
            cursor.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            raise key_is_held(message, answer.id)
        taken.append(answer)
    if guarded:
        cursor.execute(f"RELEASE SAVEPOINT {SAVEPOINT}")
    new = {answer.id for answer in taken if answer.is_new}
    engine.notify(cursor, {message.queue for message in messages if message.id in new})
    return taken


def _take_in_free(engine: Engine, cursor: Any, messages: Sequence[Message], *, tidies: bool) -> list[Taken]:
    """Insert jobs that no other one keeps out, many at once."""
    taken: list[Taken] = []
    for chunk in chunks(messages, SOON_US):
        now_us = engine.now_us(cursor)
        made = [new_job(message, now_us=now_us, order=order) for order, message in enumerate(chunk)]
        rows = turns.enter(engine, cursor, made, now_us)
        new = engine.take_in(cursor, rows, now_us)
        kept = [row for (row, _), is_new in zip(rows, new, strict=True) if is_new]
        turns.keep(engine, cursor, kept)
        if tidies:
            turns.tidy(engine, cursor, kept, now_us)
        taken += [Taken(message.id, is_new=is_new) for message, is_new in zip(chunk, new, strict=True)]
    new_ids = {answer.id for answer in taken if answer.is_new}
    engine.notify(cursor, {message.queue for message in messages if message.id in new_ids})
    return taken


def _asks_to_be_told(message: Message) -> bool:
    unique = message.bounds.unique if message.bounds else None
    return unique is not None and unique.conflict == "raise"


def _take_in(engine: Engine, cursor: Any, message: Message, now_us: int, *, order: int) -> Taken:
    ((row, later),) = turns.enter(engine, cursor, [new_job(message, now_us=now_us, order=order)], now_us)
    if not engine.insert_new(cursor, JOB, JOB_COLUMNS, row):
        return Taken(message.id, is_new=False)
    if row.id_given and engine.reject_marked(cursor, [row.id], now_us):
        return Taken(message.id, is_new=False)
    holder = _held_by_another(engine, cursor, message, row, now_us)
    if holder is not None:
        engine.delete_by_id(cursor, JOB, "id", [row.id])
        return Taken(holder, is_new=False)
    if later or row.gate is not None:
        engine.insert(cursor, DUE, DUE_COLUMNS, [row.due(0)])
    else:
        engine.insert(cursor, READY, READY_COLUMNS, [row.ready(0)])
    turns.keep(engine, cursor, [row])
    return Taken(message.id, is_new=True)


def _held_by_another(engine: Engine, cursor: Any, message: Message, row: JobRow, now_us: int) -> str | None:
    """Take the key; return the id of the job that holds it and goes on doing so."""
    unique = message.bounds.unique if message.bounds else None
    if unique is None:
        return None
    holder = uniques.take(engine, cursor, unique, row.id, now_us)
    while holder is not None and unique.conflict == "replace":
        waiting = engine.read_jobs(cursor, [holder], lock=True).get(holder)
        if waiting is not None:
            if not people.end_waiting(engine, cursor, waiting, now_us):
                return holder
            uniques.leave(cursor, unique.key, holder)
        elif unique.for_us is not None:
            return holder  # it has ended, and its key has time left
        holder = uniques.take(engine, cursor, unique, row.id, now_us)
    return holder
