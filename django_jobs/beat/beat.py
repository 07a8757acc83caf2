"""Fires what is due: one step of a beat, and how long to sleep after it. Any number of beats may run; none leads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import Error as DatabaseError
from django.db import transaction

from django_jobs.beat.entries import Entries, Entry
from django_jobs.client import producer
from django_jobs.client.tick import message_of, told, why_not
from django_jobs.connections import connections
from django_jobs.core.message import Message
from django_jobs.core.schedule import ON_TIME_SECONDS, from_us
from django_jobs.exceptions import BrokerError, InvalidSchedule
from django_jobs.models.schedule import PeriodicSchedule
from django_jobs.signals import beat_ticked

logger = logging.getLogger("django_jobs.beat")

AT_ONCE: Final = 100
"""Rows fired in one step; where more are due the next step follows without a pause."""
HELD_SECONDS: Final = 0.2
"""Until the next look where rows are due that another beat is about to fire, or has died over."""
MEND_SECONDS: Final = 10.0
"""How often broken rows are judged anew."""


class Beat:
    """Fires schedules. `now_us` is the clock of the database, `monotonic` only counts what passes in this process.

    `declare` brings the rows up to date with code and settings; it is called at the first step.
    """

    def __init__(
        self,
        entries: Entries,
        *,
        alias: str,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
        declare: Callable[[], None] = lambda: None,
        max_interval_seconds: float = 1.0,
    ) -> None:
        self._entries = entries
        self._alias = alias
        self._now_us = now_us
        self._monotonic = monotonic
        self._declare: Callable[[], None] | None = declare
        self._max_interval_seconds = max_interval_seconds
        self._mended_at: float | None = None

    def step(self) -> float:
        """Fire what is due now, and return the seconds until the next look: 0 where there may be more at once.

        Raises:
            BrokerError, django.db.Error: a store cannot be used. Nothing is half done: repeat the step.
        """
        self._entries.connect()
        if self._declare is not None:
            self._declare()
            self._declare = None
        self._mend_now_and_then()
        now_us = self._now_us()
        self._entries.plan_all(now_us)
        is_due = bool(self._entries.due(now_us, 1))
        if is_due and self._fire(now_us):
            return 0.0
        longest = min(HELD_SECONDS, self._max_interval_seconds) if is_due else self._max_interval_seconds
        now_us = self._now_us()
        next_us = self._entries.next_us(now_us)
        return longest if next_us is None else max(0.0, min(longest, (next_us - now_us) / 1_000_000))

    def _fire(self, now_us: int) -> int:
        broker = connections.broker
        if broker.in_transaction and broker.alias == self._alias:
            return self._fire_together(now_us)
        return sum([self._fire_apart(row, now_us) for row in self._entries.due(now_us, AT_ONCE)])

    def _fire_together(self, now_us: int) -> int:
        """Enqueue the jobs and move the rows on in one transaction; return how many."""
        failed: list[tuple[PeriodicSchedule, Exception]] = []
        with transaction.atomic(using=self._alias):
            prepared: list[tuple[Entry, Message]] = []
            for row in self._entries.take(now_us, AT_ONCE):
                try:
                    prepared.extend(self._prepare(row, now_us))
                except (DatabaseError, BrokerError):
                    raise
                except Exception as error:  # noqa: BLE001  whatever a row asks for must not stop the others
                    failed.append((row, error))
            moved = [(entry, message) for entry, message in prepared if self._entries.move(entry, message.id)]
            if moved:
                producer.send([message for _, message in moved])
        for entry, message in moved:
            self._tell(entry, message.id, now_us)
        for row, cause in failed:
            self._give_up(row, cause, now_us)
        return len(moved)

    def _fire_apart(self, row: PeriodicSchedule, now_us: int) -> bool:
        """Hand the job to a broker elsewhere, which takes a tick in once, then move the row on; say whether we did."""
        try:
            prepared = self._prepare(row, now_us)
        except (DatabaseError, BrokerError):
            raise
        except Exception as error:  # noqa: BLE001  whatever a row asks for must not stop the others
            self._give_up(row, error, now_us)
            return False
        for entry, message in prepared:
            producer.send_tick(entry.declaration.name, entry.tick_us, message)
            if self._entries.move(entry, message.id):
                self._tell(entry, message.id, now_us)
                return True
        return False

    def _prepare(self, row: PeriodicSchedule, now_us: int) -> list[tuple[Entry, Message]]:
        """Return what is to be done for a row, if anything: a rule that was changed is planned anew instead."""
        entry = self._entries.entry(row, now_us)
        if entry is None:
            self._entries.plan(row, now_us)
            return []
        return [(entry, message_of(entry.declaration, entry.tick_us))]

    def _tell(self, entry: Entry, job_id: str, now_us: int) -> None:
        name, tick_at = entry.declaration.name, from_us(entry.tick_us)
        late_seconds = max(0, now_us - entry.tick_us) / 1_000_000
        logger.info(
            "Fired %s for %s, %.3f s late: job %s of %s.",
            name,
            tick_at.isoformat(),
            late_seconds,
            job_id,
            entry.declaration.task,
            extra={
                "job_id": job_id,
                "task": entry.declaration.task,
                "fields": {"schedule": name, "tick": tick_at.isoformat(), "late_ms": round(late_seconds * 1000, 1)},
            },
        )
        beat_ticked.send_robust(sender=name, job_id=job_id, tick_at=tick_at, late_seconds=late_seconds)

    def _give_up(self, row: PeriodicSchedule, error: Exception, now_us: int) -> None:
        """Mark the row broken, once its tick is so late that no beat with newer code has fired it meanwhile."""
        if row.next_run_us is None or now_us - row.next_run_us <= ON_TIME_SECONDS * 1_000_000:
            return
        why = told(error)
        if self._entries.mark_broken(row, why):
            logger.error("The schedule %s is broken and does not fire until that is mended: %s", row.name, why)

    def _mend_now_and_then(self) -> None:
        now = self._monotonic()
        if self._mended_at is not None and now - self._mended_at < MEND_SECONDS:
            return
        self._mended_at = now
        for row in list(self._entries.rows.broken()):
            if self._is_sound(row) and self._entries.mend(row):
                logger.info("The schedule %s is no longer broken.", row.name)

    def _is_sound(self, row: PeriodicSchedule) -> bool:
        try:
            return not why_not(row.declaration())
        except InvalidSchedule:
            return False
