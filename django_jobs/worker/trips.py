"""One child's round trips to the broker: settle and claim in one, repeated until answered; and the waits between them.

One thread at a time uses this; the fetcher sees to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeVar

from django_jobs.core.claim import Want
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.ports.broker import Broker, Exchanged
from django_jobs.worker.backoff import Backoff
from django_jobs.worker.layout import Word
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.settle import MAX_BATCH, Ended, Settler
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.wake import Wake

T = TypeVar("T")
POLL_SECONDS: Final = 1.0
"""Longest wait for a hint before asking again."""


class Trips:
    """What is on its way to the broker: outcomes until they are answered, and the claim that is in doubt."""

    def __init__(
        self,
        *,
        broker: Broker,
        settler: Settler,
        shared: Shared,
        slots: ChildSlots,
        order: QueueOrder,
        wake: Wake,
        random: Random,
        clock: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._settler = settler
        self._shared = shared
        self._slots = slots
        self._order = order
        self._wake = wake
        self._random = random
        self._clock = clock
        self._backoff = Backoff(f"Child {slots.index + 1}", random)
        self.sending: list[Ended] = []
        self._want: Want | None = None
        self.in_wait = False
        """Whether a thread sleeps in here until it is poked."""
        self.more = True
        """Whether the last claim left something behind."""
        self._next_due: float | None = None

    @property
    def is_fenced(self) -> bool:
        """Whether the session is not known to live: nothing may be claimed or started."""
        return self._shared.floats[Word.FENCE_AT] <= self._clock()

    def load(self, ended: list[Ended]) -> list[Ended]:
        """Take outcomes along in the next exchange, as many as fit; return the others."""
        room = MAX_BATCH - len(self.sending)
        self.sending.extend(ended[:room])
        return ended[room:]

    def exchange(self, next_want: Callable[[], Want | None]) -> tuple[Want, Exchanged] | None:
        """Settle and claim once, repeating until the broker answers; None where nothing was claimed for.

        `next_want` says what to claim, anew for each try, unless an earlier claim is in doubt.
        """
        while True:
            self._slots.sign(self._clock())
            try:
                self._slots.asks(True)  # before it is asked whether anything is to be claimed
                self._want = self._want or next_want()
                # Past the fence what has ended is still settled; a claim in doubt is repeated once the session lives.
                want = None if self.is_fenced else self._want
                if not self.sending and want is None:
                    return None
                exchanged = self._settler.exchange(self.sending, want)
                self._backoff.worked()
                return None if want is None else self._answered(want, exchanged)
            except BrokerUnavailable as error:
                if self._shared.stopping and not self.sending:
                    return None  # a claim in doubt stays published: the keeper gives it back after our end
                self.sleep(self._backoff.failed(error))
            finally:
                self._slots.asks(False)

    def poll_seconds(self) -> float:
        """Return how long to wait for a hint: about a second, or until the next job is due."""
        longest = POLL_SECONDS * self._random.uniform(0.8, 1.0)
        return longest if self._next_due is None else min(longest, max(0.001, self._next_due))

    def pause(self, seconds: float, *, unless: Callable[[], Sequence[Ended]]) -> None:
        """Wait until poked, or until the broker hints at work; not when outcomes have been handed in meanwhile."""
        self._pause(unless, lambda: self._broker.wait(self._order.names, seconds, self._wake.read_fd))

    def pause_without_hints(self, seconds: float, *, unless: Callable[[], Sequence[Ended]]) -> None:
        """Wait until poked; not when outcomes have been handed in meanwhile."""
        self._pause(unless, lambda: self._wake.wait(seconds))

    def pause_and_claim(
        self, seconds: float, *, unless: Callable[[], Sequence[Ended]], next_want: Callable[[], Want | None]
    ) -> tuple[Want, Exchanged] | None:
        """`pause`, and claim what the broker hints at, if it can do that by itself; None where nothing was claimed for.

        The claim is made up to `seconds` from now: past the fence it would be too late.
        """
        if not self._broker.claims_at_hints or self._shared.floats[Word.FENCE_AT] <= self._clock() + seconds:
            self.pause(seconds, unless=unless)
            return None
        return self._pause(unless, lambda: self._wait_and_claim(seconds, next_want))

    def _wait_and_claim(self, seconds: float, next_want: Callable[[], Want | None]) -> tuple[Want, Exchanged] | None:
        self._slots.asks(True)
        try:
            self._want = want = self._want or next_want()
            if want is not None:
                exchanged = self._broker.wait_and_claim(want, self._order.names, seconds, self._wake.read_fd)
                return None if exchanged is None else self._answered(want, exchanged)
        finally:
            self._slots.asks(False)
        self._broker.wait(self._order.names, seconds, self._wake.read_fd)
        return None

    def _pause(self, unless: Callable[[], Sequence[Ended]], wait: Callable[[], T]) -> T | None:
        self._slots.sign(self._clock())
        self.in_wait = True
        try:
            return None if unless() else wait()  # handed in before `in_wait` could be seen
        except BrokerUnavailable as error:
            self._wake.wait(self._backoff.failed(error))
            return None
        finally:
            self.in_wait = False
            if not self._shared.stopping:
                self._wake.drain()

    def sleep(self, seconds: float) -> None:
        """Wait until poked or the time is over."""
        if self._shared.stopping:
            time.sleep(min(seconds, 0.5))  # the pipe stays readable from the stop on
        elif self._wake.wait(seconds):
            self._wake.drain()

    def _answered(self, want: Want, exchanged: Exchanged) -> tuple[Want, Exchanged]:
        self._want = None
        self._next_due = exchanged.next_due_seconds
        self.more = exchanged.more
        return want, exchanged
