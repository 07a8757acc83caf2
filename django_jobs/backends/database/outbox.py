"""The outbox on the project's database: rows of OutboxMessage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Self, TypeVar

import msgspec
from msgspec.structs import replace

from django_jobs.backends.database.connection import Connection
from django_jobs.backends.database.engine import Engine
from django_jobs.backends.database.engines import make_engine, shifts_us
from django_jobs.backends.database.rows import OUTBOX, chunks, in_list
from django_jobs.core.message import Message
from django_jobs.core.policy import Policy
from django_jobs.ports.outbox import Outbox

T = TypeVar("T")

COLUMNS: Final = ("id", "message", "created_us", "next_us", "taken_by", "failures", "error")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class DatabaseOutbox(Outbox):
    """Takes rows by moving their time ahead: nothing has to be given back by a relay that dies."""

    def __init__(self, policy: Policy, *, own: bool = False) -> None:
        self.policy = policy
        self.alias = policy.database
        self._connection = Connection(policy.database, own=own)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The vendor's SQL."""
        if self._engine is None:
            self._engine = make_engine(self._connection, self.policy)
        self._engine.shift_us = shifts_us.get(self._connection.alias, 0)
        return self._engine

    def add(self, messages: Sequence[Message], *, hold_seconds: float) -> None:
        def step(cursor: Any) -> None:
            now_us = self.engine.now_us(cursor)
            next_us = now_us + round(hold_seconds * 1_000_000)
            rows = [
                (message.id, _encode(absolute(message, now_us)).decode(), now_us, next_us, "", 0, "")
                for message in messages
            ]
            self.engine.insert(cursor, OUTBOX, COLUMNS, rows, ignore=True)

        self._connection.transaction(step)

    def take(self, *, session: str, limit: int, hold_seconds: float) -> list[Message]:
        def step(cursor: Any) -> list[Message]:
            now_us = self.engine.now_us(cursor)
            skip = f"{self.engine.for_update} SKIP LOCKED" if self.engine.for_update else ""
            cursor.execute(
                f"SELECT id, message FROM {OUTBOX} WHERE next_us <= %s ORDER BY next_us LIMIT %s {skip}",
                [now_us, limit],
            )
            rows = cursor.fetchall()
            for chunk in chunks(sorted(row[0] for row in rows), 500):
                cursor.execute(
                    f"UPDATE {OUTBOX} SET next_us = %s, taken_by = %s WHERE id IN {in_list(len(chunk))}",
                    [now_us + round(hold_seconds * 1_000_000), session, *chunk],
                )
            return [_decode(row[1]) for row in rows]

        if not self._connection.statement(self._is_any_due):
            return []
        return self._connection.transaction(step)

    def _is_any_due(self, cursor: Any) -> bool:
        cursor.execute(f"SELECT 1 FROM {OUTBOX} WHERE next_us <= %s LIMIT 1", [self.engine.now_us(cursor)])
        return cursor.fetchone() is not None

    def strike(self, job_ids: Collection[str]) -> int:
        def step(cursor: Any) -> int:
            struck = 0
            for chunk in chunks(sorted(job_ids), 500):
                cursor.execute(f"DELETE FROM {OUTBOX} WHERE id IN {in_list(len(chunk))}", list(chunk))
                struck += cursor.rowcount
            return struck

        return self._write(step) if job_ids else 0

    def postpone(self, job_ids: Collection[str], *, seconds: float, error: str = "") -> None:
        def step(cursor: Any) -> None:
            next_us = self.engine.now_us(cursor) + round(seconds * 1_000_000)
            for chunk in chunks(sorted(job_ids), 500):
                cursor.execute(
                    f"UPDATE {OUTBOX} SET next_us = %s, failures = failures + %s, error = %s"
                    f" WHERE id IN {in_list(len(chunk))}",
                    [next_us, 1 if error else 0, error, *chunk],
                )

        if job_ids:
            self._write(step)

    def waiting(self) -> int:
        def step(cursor: Any) -> int:
            cursor.execute(f"SELECT COUNT(*) FROM {OUTBOX}")
            return int(cursor.fetchone()[0])

        return self._connection.statement(step)

    def _write(self, step: Callable[[Any], T]) -> T:
        return self._connection.transaction(step)

    def own(self) -> Self:
        return type(self)(self.policy, own=True)

    def close(self) -> None:
        self._connection.close()


def absolute(message: Message, now_us: int) -> Message:
    """Return the message with times that mean the same later, marked as one whose id is known before it is sent."""
    return replace(
        message,
        eta_us=message.eta_us if message.delay_us is None else now_us + message.delay_us,
        delay_us=None,
        expires_us=message.expires_us if message.expires_after_us is None else now_us + message.expires_after_us,
        expires_after_us=None,
        id_given=True,
    )
