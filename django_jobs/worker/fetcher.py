"""Where a child's runners get their jobs and hand in what they came to: one broker connection, combined round trips.

A runner that finds nothing in line goes to the broker itself, with all outcomes that are waiting to be settled; the
others wait. While runners are inside jobs, a helper thread sends outcomes once the oldest is 5 ms old. (After the
combining of flat-combining queues: whoever is there does the work of all.)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from django_jobs.core.claim import Claim, Want
from django_jobs.core.outcome import Outcome
from django_jobs.execution.plan import Plan, Plans
from django_jobs.ports.broker import Broker
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.leave import Leave, Quota
from django_jobs.worker.pace import Pace
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.report import Reporter
from django_jobs.worker.settle import Ended, HeldClaim, Settler, flags_of, given_back
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.trips import Trips
from django_jobs.worker.wake import Wake
from django_jobs.worker.wants import Wants

COALESCE_SECONDS: Final = 0.005
FENCED_SECONDS: Final = 0.02
"""Between looks at the fence, while the session is not known to live."""
MAYBE_SECONDS: Final = 0.005
"""Pause where the broker says that there may be more, but has given nothing."""
IDLE_SECONDS: Final = 0.25
"""Longest sleep of a thread that waits for another one."""


class Fetcher:
    """One child's line of claimed jobs and its outcomes. `next` and `finish` are called by its runners."""

    def __init__(
        self,
        *,
        broker: Broker,
        plans: Plans,
        shared: Shared,
        slots: ChildSlots,
        session: str,
        incarnation: int,
        order: QueueOrder,
        reporter: Reporter,
        quota: Quota,
        wake: Wake,
        random: Random,
        runners: int,
        coroutines: int,
        burst: bool,
        default_queue: str,
        clock: Callable[[], float],
    ) -> None:
        self._plans = plans
        self._shared = shared
        self._slots = slots
        self._quota = quota
        self._wake = wake
        self._runners = runners
        self._burst = burst
        self._clock = clock
        self.settler = Settler(broker, slots, reporter)
        self.pace = Pace()
        self._wants = Wants(
            broker=broker,
            shared=shared,
            slots=slots,
            session=session,
            incarnation=incarnation,
            order=order,
            pace=self.pace,
            quota=quota,
            runners=runners,
            default_queue=default_queue,
        )
        self._trips = Trips(
            broker=broker,
            settler=self.settler,
            shared=shared,
            slots=slots,
            order=order,
            wake=wake,
            random=random,
            clock=clock,
        )
        self.leave: Leave | None = None
        """Why the child ends; None while it goes on."""
        self._lock = threading.RLock()
        self._cond = threading.Condition(self._lock)  # `with` it would be two calls of Python more
        self._line: deque[HeldClaim] = deque()
        self._ended: list[Ended] = []
        self._oldest_at = 0.0
        self._struck: list[HeldClaim] = []
        self._running = 0
        self._free_coroutines = coroutines
        self._alone = False
        self._has_asked = False
        """Whether the last wait has claimed, and brought nothing."""
        self._in_broker = False
        self._closed = False

    # -- runners -----------------------------------------------------------------------------------------------

    def next(self) -> HeldClaim | None:
        """Return a job that has been started in the shared table, or None when this child takes no more.

        Blocks: until there is one. A coroutine job takes one of the coroutine places.
        """
        while True:
            self._check_leave()
            if self.leave is not None:
                self._give_back_line()
                return None
            held = self._take_from_line()
            if held is not None:
                if self._begin(held):
                    return held
            elif not self._alone and self._enter_broker():
                try:
                    self._fetch()
                finally:
                    self._leave_broker()
            else:
                with self._lock:
                    if not self._line and (self._in_broker or self._alone):
                        self._cond.wait(IDLE_SECONDS)

    def finish(self, held: HeldClaim, outcome: Outcome, seconds: float | None) -> None:
        """Hand in what a started job came to; `seconds` is how long it ran, None when it did not run."""
        plan = held.plan
        self._slots.done(held.index)
        if seconds is not None and plan is not None and not plan.is_async:
            self.pace.ran(plan, seconds)
        with self._lock:
            self._running -= 1
            if plan is not None and plan.is_async:
                self._free_coroutines += 1
            if held.claim.suspect:
                self._alone = False
            if outcome.settled:
                self.settler.was_settled(held, outcome)
                self._cond.notify_all()
                return
            self._ended.append(Ended(held, outcome))
            first = len(self._ended) == 1
            if first:
                self._oldest_at = self._clock()
            if first or self._runners > 1 or (plan is not None and plan.is_async):
                self._cond.notify_all()
        if first or self._in_broker or not self._line:  # another thread is at it, or this one soon will be
            return
        if self._clock() - self._oldest_at >= COALESCE_SECONDS:
            self.flush()

    def flush(self, *, claiming: bool = True) -> None:
        """Settle what has ended, now, if no other thread is at it; with `claiming` the line is filled up, too."""
        if not self._enter_broker():
            return
        try:
            self._exchange(claiming=claiming, idle=0)
        finally:
            self._leave_broker()

    def wait_for_ends(self) -> None:
        """Return when no job runs in this child any more."""
        with self._lock:
            while self._running:
                self._cond.wait(IDLE_SECONDS)

    def close(self) -> None:
        """Settle all that is left, repeating until the broker answers, and end the helper."""
        with self._lock:
            self._closed = True
            self._cond.notify_all()
        while True:
            if self._enter_broker():
                try:
                    if not (self._ended or self._struck or self._trips.sending or self.settler.settled):
                        return
                    self._exchange(claiming=False, idle=0)
                finally:
                    self._leave_broker()
            else:
                self._wake.poke()
                with self._lock:
                    self._cond.wait(0.01)

    @property
    def is_idle(self) -> bool:
        """Whether this child holds nothing, runs nothing and has nothing to settle."""
        return not (self._line or self._running or self._ended or self._trips.sending)

    # -- the helper thread -------------------------------------------------------------------------------------

    def help_settling(self) -> None:
        """Send outcomes that are 5 ms old while the runners are inside jobs; returns after `close`."""
        while not self._closed:
            with self._lock:
                if not self._ended:
                    self._cond.wait()
                    continue
                left = self._oldest_at + COALESCE_SECONDS - self._clock()
                if left > 0:
                    self._cond.wait(left)
                    continue
            if self._trips.in_wait:
                self._wake.poke()
            if self._in_broker:
                with self._lock:
                    self._cond.wait(COALESCE_SECONDS)
            else:
                self.flush()

    # -- starting ----------------------------------------------------------------------------------------------

    def _take_from_line(self) -> HeldClaim | None:
        if self._runners == 1:  # nobody else takes: no lock
            return self._line.popleft() if self._line else None
        with self._lock:
            return self._line.popleft() if self._line else None

    def _begin(self, held: HeldClaim) -> bool:
        """Start the job in the shared table; False when it is not to run (struck, no quota, no longer ours)."""
        plan = held.plan
        if (
            (self._ended or self.settler.settled)
            and plan is not None
            and not plan.is_async
            and (plan.options.atomic or not self.pace.is_short(plan))
        ):
            self.flush(claiming=False)
        now = self._clock()
        while self._shared.floats[Word.FENCE_AT] <= now:
            if not self._wait_for_fence(held):
                return False
            now = self._clock()
        if plan is not None and plan.is_async and not self._take_coroutine_place(held):
            return False
        if not self._slots.start(held.index, now, time.time_ns() // 1000):
            self._drop(held)
            return False
        if not self._quota.take(self._shared):  # counted only once nobody can strike it any more
            self._slots.hold_back(held.index)
            self._line.appendleft(held)
            self.leave = self.leave or self._quota.leave
            return False
        with self._lock:
            self._running += 1
            if plan is not None and plan.is_async:
                self._free_coroutines -= 1
        return True

    def _drop(self, held: HeldClaim) -> None:
        """Forget a job that the keeper has struck and gives back; inside the next exchange, by its one thread."""
        self._struck.append(held)
        if held.claim.suspect:
            self._alone = False

    def _wait_for_fence(self, held: HeldClaim) -> bool:
        self._check_leave()
        if self.leave is not None:
            self._line.appendleft(held)
            return False
        self._slots.sign(self._clock())
        self._trips.sleep(FENCED_SECONDS)
        return True

    def _take_coroutine_place(self, held: HeldClaim) -> bool:
        with self._lock:
            while self._free_coroutines <= 0:
                self._slots.sign(self._clock())
                self._cond.wait(IDLE_SECONDS)
                if self._shared.stopping:
                    self._line.appendleft(held)
                    return False
        return True

    def _check_leave(self) -> None:
        if self.leave is None:
            self.leave = Leave.STOPPING if self._shared.stopping else self._quota.check(self._shared)

    def _give_back_line(self) -> None:
        """Hand in every job that waits in line as released; those that the keeper has struck are its own."""
        with self._lock:
            while self._line:
                held = self._line.popleft()
                if not self._slots.withhold(held.index):
                    self._drop(held)
                    continue
                self._ended.append(given_back(held))
                self._oldest_at = 0.0
            self._cond.notify_all()

    # -- the broker --------------------------------------------------------------------------------------------

    def _enter_broker(self) -> bool:
        with self._lock:
            if self._in_broker:
                return False
            self._in_broker = True
            return True

    def _leave_broker(self) -> None:
        with self._lock:
            self._in_broker = False
            self._cond.notify_all()

    def _fetch(self) -> None:
        """Settle and claim for a runner that has nothing to do; wait for a hint when there is nothing."""
        if self._slots[ChildWord.DISMISSED]:  # looked at here only: a line that is there is run first
            self.leave = self.leave or Leave.DISMISSED
            return
        idle = max(1, self._runners - self._running)
        claims = 0 if self._has_asked and not self._ended else self._exchange(claiming=True, idle=idle)
        self._has_asked = False
        if not claims and not self._ended and self._may_look and self._wants.others_are_ready(self._clock()):
            claims = self._exchange(claiming=True, idle=idle)
        if claims or self._ended or self._shared.stopping or self._quota.reached:
            return
        trips = self._trips
        if trips.is_fenced:
            self._slots.sign(self._clock())
            trips.sleep(FENCED_SECONDS)
        elif self._wants.are_held_back:  # hints of what it would not take are no news
            trips.pause_without_hints(trips.poll_seconds(), unless=lambda: self._ended)
        elif self._burst and self.is_idle and not trips.more:
            self._leave_when_drained()
        elif self._running or not self._want_allowed:  # whoever is poked would claim before it settles
            maybe = trips.more and self._want_allowed
            trips.pause(MAYBE_SECONDS if maybe else trips.poll_seconds(), unless=lambda: self._ended)
        else:
            seconds = MAYBE_SECONDS if trips.more else trips.poll_seconds()
            answer = trips.pause_and_claim(seconds, unless=lambda: self._ended, next_want=lambda: self._next_want(idle))
            if answer is not None:
                self._has_asked = not self._arrived(answer[0], answer[1].claims)

    def _leave_when_drained(self) -> None:
        self._wants.hurry_suspects()
        if not self._exchange(claiming=True, idle=1) and not self._wants.broker_holds_more():
            self.leave = Leave.DRAINED

    @property
    def _want_allowed(self) -> bool:
        return not self._alone and self.leave is None and not self._shared.stopping and not self._trips.is_fenced

    @property
    def _may_look(self) -> bool:
        return self._want_allowed and not self._wants.are_held_back

    def _exchange(self, *, claiming: bool, idle: int) -> int:
        """Settle and claim once, repeating until the broker answers; return how many jobs came. In the broker."""
        for held in self._struck:
            self.settler.dropped(held)
        self._struck = []
        self.settler.report_settled()
        with self._lock:
            self._ended = self._trips.load(self._ended)
        answer = self._trips.exchange(lambda: self._next_want(idle) if claiming and self._want_allowed else None)
        if answer is None:
            return 0
        want, exchanged = answer
        return self._arrived(want, exchanged.claims)

    def _next_want(self, idle: int) -> Want | None:
        return self._wants.next(
            self._clock(),
            idle=idle,
            in_line=len(self._line),
            running=self._running,
            free_coroutines=self._free_coroutines,
        )

    def _arrived(self, want: Want, claims: Sequence[Claim]) -> int:
        plans = [self._plans.get(claim.message.task) for claim in claims]
        if claims:
            self._take_in(claims, plans)
        self.settler.opened(want.name.number, len(claims))
        self._wants.answered(want, plans, suspect=any(claim.suspect for claim in claims))
        return len(claims)

    def _take_in(self, claims: Sequence[Claim], plans: Sequence[Plan | None]) -> None:
        flags = [flags_of(claim, plan) for claim, plan in zip(claims, plans, strict=True)]
        indexes = self._slots.put(claims, flags, self._clock())
        held = [HeldClaim(*item) for item in zip(claims, plans, indexes, strict=True)]
        with self._lock:
            self._alone = any(claim.suspect for claim in claims)
            self._line.extend(held)
            if self._runners > 1:
                self._cond.notify_all()
