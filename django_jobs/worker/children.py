"""The supervisor's children: forked, watched, replaced, dismissed and buried. Used by its main thread only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

from django_jobs.worker.backoff import Pause
from django_jobs.worker.child import child_main
from django_jobs.worker.deaths import describe_status, now_us
from django_jobs.worker.enforcer import Running
from django_jobs.worker.layout import ChildWord, Death, Word
from django_jobs.worker.leave import Leave, resident_bytes
from django_jobs.worker.options import fence_seconds
from django_jobs.worker.processes import Tie, ended, fork, kill, wait_for
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.wake import Wake

logger = logging.getLogger("django_jobs.worker")

ENDING: Final = frozenset({Leave.DRAINED, Leave.ENOUGH})


class Children:
    """Keeps as many children as are wanted; leaves what is known of a dead one to the keeper, in its block."""

    def __init__(
        self,
        setup: WorkerSetup,
        shared: Shared,
        tie: Tie,
        *,
        poke_supervisor: Callable[[], None],
        poke_keeper: Callable[[], None],
    ) -> None:
        self._setup = setup
        self._options = setup.options
        self._shared = shared
        self._tie = tie
        self._poke_supervisor = poke_supervisor
        self._poke_keeper = poke_keeper
        self._wakes = {slots.index: Wake() for slots in shared.children}
        self._pause = Pause()
        self._incarnation = 0
        self._left: set[Leave] = set()
        self.living: list[Running] = []

    @property
    def running_jobs(self) -> int:
        """How many jobs run in all of them."""
        return sum(child.slots[ChildWord.RUNNING] for child in self.living)

    @property
    def has_answer(self) -> bool:
        """Whether the broker has answered one of them."""
        return any(child.slots[ChildWord.ANSWERS] for child in self.living)

    @property
    def are_done(self) -> bool:
        """Whether none lives and none is wanted any more: drained, or at a limit."""
        return not self.living and bool(self._left) and not self._are_wanted()

    def refill(self, session: str, now: float) -> None:
        """Fork what is missing, and ask what is too many to leave."""
        staying = [child for child in self.living if not child.slots[ChildWord.DISMISSED]]
        missing = self._shared.words[Word.CHILDREN] - len(staying)
        if missing < 0:
            self._dismiss(staying, -missing)
        if missing <= 0 or now < self._pause.until:
            return
        if self._left & ENDING:
            if self.living or not self._are_wanted() or not self._deaths_are_settled():
                return
            missing = 1
        elif self._options.burst and not self._deaths_are_settled():
            return  # the replacement must find what the dead child gives back
        for slots in [slots for slots in self._shared.children if _is_free(slots)][:missing]:
            self._fork(slots, session, now)

    def reap(self, now: float) -> None:
        """Bury those that have ended."""
        for child in list(self.living):
            status = ended(child.pid)
            if status is not None:
                self.living.remove(child)
                self._bury(child, status, now)

    def watch(self, now: float) -> None:
        """Note their memory; kill those that give no sign of life outside of jobs."""
        stuck_seconds = fence_seconds(self._setup.policy)
        for child in self.living:
            slots = child.slots
            slots.set(ChildWord.MEMORY, resident_bytes(child.pid))
            if not slots[ChildWord.RUNNING] and now - slots.seconds(ChildWord.SIGN) > stuck_seconds:
                logger.error(
                    "Child process %d gave no sign for %.0f s outside of jobs; it is killed and replaced.",
                    child.pid,
                    stuck_seconds,
                )
                child.killed = True
                kill(child.pid)

    def kill_all(self, now: float) -> None:
        """Kill, wait and bury: nothing is given back while it may run."""
        for child in self.living:
            child.killed = True
            kill(child.pid)
        while self.living:
            child = self.living.pop()
            self._bury(child, wait_for(child.pid), now)

    def poke(self) -> None:
        """End the waits of all."""
        for wake in self._wakes.values():
            wake.poke()

    # -- parts -------------------------------------------------------------------------------------------------

    def _are_wanted(self) -> bool:
        """Whether there is work left for a child: none at a limit, or drained with nothing to give back."""
        if Leave.ENOUGH in self._left:
            return False
        if Leave.DRAINED in self._left:
            return not self._deaths_are_settled()
        return True

    def _deaths_are_settled(self) -> bool:
        return not any(slots[ChildWord.DEATH] for slots in self._shared.children)

    def _dismiss(self, staying: list[Running], count: int) -> None:
        """Ask `count` to leave once what they run has ended: those that run least, the youngest first."""
        by_load = sorted(
            staying, key=lambda child: (child.slots[ChildWord.RUNNING], -child.slots[ChildWord.INCARNATION])
        )
        for child in by_load[:count]:
            child.slots.set(ChildWord.DISMISSED, 1)
            self._wakes[child.slots.index].poke()

    def _fork(self, slots: ChildSlots, session: str, now: float) -> None:
        self._incarnation += 1
        wake = self._wakes[slots.index]
        wake.drain()
        slots.reset(pid=0, incarnation=self._incarnation)
        slots.set_seconds(ChildWord.STARTED_AT, now)
        slots.sign(now)
        incarnation = self._incarnation

        def main() -> int:
            return child_main(
                self._setup,
                session=session,
                incarnation=incarnation,
                shared=self._shared,
                slots=slots,
                wake=wake,
                poke_supervisor=self._poke_supervisor,
            )

        pid = fork(self._tie, main)
        slots.set(ChildWord.PID, pid)
        self.living.append(Running(pid=pid, slots=slots))

    def _bury(self, child: Running, status: int, now: float) -> None:
        """Leave what is known of a dead child to the keeper; a block with nothing in it is free at once."""
        slots = child.slots
        slots.break_lock()
        code = os.waitstatus_to_exitcode(status)
        in_order = code in set(Leave) and not child.killed and not slots[ChildWord.RUNNING]
        if in_order and Leave(code) is not Leave.STOPPING:
            self._left.add(Leave(code))
        if not in_order and not child.killed:
            logger.error("Child process %d has ended (%s); it is replaced.", child.pid, describe_status(status))
            if not slots[ChildWord.STARTED]:
                self._pause.ended(lived_seconds=now - slots.seconds(ChildWord.STARTED_AT), now=now)
        slots.set(ChildWord.DEATH_STATUS, status)
        slots.set(ChildWord.ENDED_US, now_us())
        if in_order and not slots.open_claims() and not slots.jobs():
            slots.reset(pid=0, incarnation=0)
            return
        slots.set(ChildWord.DEATH, Death.INTERRUPTED if in_order or child.killed else Death.CRASHED)
        self._poke_keeper()


def _is_free(slots: ChildSlots) -> bool:
    return not slots[ChildWord.PID] and not slots[ChildWord.DEATH]
