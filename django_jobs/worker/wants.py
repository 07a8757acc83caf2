"""What one child asks the broker for next: which queues, how many jobs, or one suspect alone, and under which name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django_jobs.core.claim import ClaimName, Want
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.execution.plan import Plan
from django_jobs.ports.broker import Broker
from django_jobs.worker.layout import Word
from django_jobs.worker.leave import Quota
from django_jobs.worker.pace import Pace
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.suspects import SuspectWatch

SUSPECTS_IN_A_ROW: Final = 10
SUSPECTS_SECONDS: Final = 1.0


class Wants:
    """Decides and names claims, and publishes each name before it is asked; used by one thread at a time."""

    def __init__(
        self,
        *,
        broker: Broker,
        shared: Shared,
        slots: ChildSlots,
        session: str,
        incarnation: int,
        order: QueueOrder,
        pace: Pace,
        quota: Quota,
        runners: int,
        default_queue: str,
    ) -> None:
        self._broker = broker
        self._shared = shared
        self._slots = slots
        self._session = session
        self._incarnation = incarnation
        self._order = order
        self._pace = pace
        self._quota = quota
        self._runners = runners
        self._default_queue = default_queue
        self._number = 0
        self._suspects_at = float("-inf")
        self._suspects_made = 0
        self._in_a_row = 0
        self._watch = SuspectWatch()
        self.are_held_back = False
        """Whether this child, for now, claims nothing (a quiet worker), or nothing but a suspect, once it is idle."""
        self._brought_jobs = True
        self._coroutines_only = False

    def next(self, now: float, *, idle: int, in_line: int, running: int, free_coroutines: int) -> Want | None:
        """Return what to ask for, or None: `idle` runners have nothing to do, `in_line` jobs wait in this child.

        Raises:
            BrokerUnavailable: which queues hold something could not be looked at.
        """
        if self._shared.words[Word.QUIET]:
            self.are_held_back = True
            return None
        if not self._order.knows_any or (self._brought_jobs and self._order.needs_refresh(now)):
            self._order.refresh(self._broker.ready_queues, now)
            self._slots.answered()
        queues = self._order.draw() or (self._default_queue,)
        made = self._shared.words[Word.SUSPECTS_MADE]
        if made != self._suspects_made or now - self._suspects_at >= SUSPECTS_SECONDS:
            if idle and not in_line and not running:
                return self._one_suspect(queues, now, made)
            if self._runners == 1 and in_line:
                return None  # let the line run dry: suspects are claimed by a child that holds nothing
            if self._runners > 1 or idle:  # neither does a line run dry here, nor do coroutines all end at once
                self._watch.look(now, self._suspects_wait)
        self.are_held_back = self._watch.is_quiet(now)
        if self.are_held_back:
            return None
        limit = min(
            self._limit(idle, in_line, free_coroutines), self._quota.left(self._shared, in_line), self._slots.room
        )
        return self._named(queues, limit) if limit > 0 else None

    def answered(self, want: Want, plans: Sequence[Plan | None], *, suspect: bool = False) -> None:
        """Learn from what a claim brought: the plan of each of its jobs, and whether it is a suspect.

        One suspect is seldom alone: a dead worker leaves all that it held. The next is asked for at once, with a claim
        of ordinary jobs between each ten.
        """
        self._brought_jobs = bool(plans)
        if any(plan is not None and plan.run_seconds is None and not plan.is_async for plan in plans):
            self._pace.met_unknown()
        if plans:
            self._coroutines_only = all(plan is not None and plan.is_async for plan in plans)
        if not want.suspects and len(plans) >= want.limit:
            self._pace.came_full(want.limit)
        if want.suspects and suspect:
            self._in_a_row += 1
            if self._in_a_row % SUSPECTS_IN_A_ROW:
                self.hurry_suspects()
        elif want.suspects:
            self._in_a_row = 0
        elif self._in_a_row:
            self._in_a_row = 0
            self.hurry_suspects()

    def hurry_suspects(self) -> None:
        """Ask for a suspect next, however short ago the last one was."""
        self._suspects_at = float("-inf")

    def others_are_ready(self, now: float) -> bool:
        """After an empty claim from the queues that were known: look whether any queue holds something.

        In this order an idle worker that is woken asks for the job itself first: one round trip less before it starts.
        """
        if self._order.names is not None:
            return False
        try:
            return self._order.refresh(self._broker.ready_queues, now)
        except BrokerUnavailable:
            return False  # the next exchange meets the same and waits

    def broker_holds_more(self) -> bool:
        """Whether a queue of this worker holds something that is due; True where nobody can say."""
        try:
            return self._order.serves(self._broker.ready_queues())
        except BrokerUnavailable:
            return True

    def _one_suspect(self, queues: tuple[str, ...], now: float, made: int) -> Want | None:
        self._suspects_at, self._suspects_made = now, made
        self.are_held_back = False
        self._watch.served()
        return self._named(queues, 1, suspects=True)

    def _suspects_wait(self) -> bool:
        return self._order.serves(self._broker.suspect_queues())

    def _limit(self, idle: int, in_line: int, free_coroutines: int) -> int:
        limit = self._pace.limit(runners=self._runners, idle=idle)
        if self._coroutines_only:
            limit = max(limit, min(self._pace.allowed, free_coroutines))
        # Filling up in small steps would cost a round trip per few jobs.
        return limit - in_line if in_line <= limit // 2 else 0

    def _named(self, queues: tuple[str, ...], limit: int, *, suspects: bool = False) -> Want | None:
        self._number += 1
        if not self._slots.publish(self._number):
            return None
        name = ClaimName(self._session, self._incarnation, self._number)
        return Want(name=name, queues=queues, limit=limit, suspects=suspects)
