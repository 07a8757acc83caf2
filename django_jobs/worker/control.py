"""The keeper's side of orders from afar: reads them, sees to them, and keeps what is answered."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from django_jobs.core.control import Answer, Order, Standing, Verb
from django_jobs.exceptions import InvalidMessage
from django_jobs.ports.broker import Broker
from django_jobs.worker.layout import ChildWord, Held, Word
from django_jobs.worker.options import PoolKind
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.stacks import Stacks

logger = logging.getLogger("django_jobs.worker")

LOOK_SECONDS: Final = 1.0
"""Between looks for orders: one look-up by key."""
ASKED_SECONDS: Final = 3.0
"""How long a quiet worker waits for what its children are asking for."""
ASKING_LOOK_SECONDS: Final = 0.01
ANSWERS_KEPT: Final = 5
MAX_STACKS: Final = 65_536
"""Characters of one answer with stacks."""
STACKS_KEPT_SECONDS: Final = 60.0
"""Then an answer with stacks gives way to a line: it is written again with each renewal."""
JOBS_SHOWN: Final = 100
"""Of each process."""


class Control:
    """Obeys the orders of one session. What the worker was told stands in the shared memory, for all its processes."""

    def __init__(
        self,
        setup: WorkerSetup,
        broker: Broker,
        *,
        session: str,
        shared: Shared,
        stacks: Stacks,
        sign: Callable[[], None],
        poke_supervisor: Callable[[], None],
        poke_children: Callable[[], None],
    ) -> None:
        self._options = setup.options
        self._broker = broker
        self._session = session
        self._shared = shared
        self._stacks = stacks
        self._sign = sign
        self._poke_supervisor = poke_supervisor
        self._poke_children = poke_children
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self._stacks_at = 0.0
        self._is_told = False
        self.has_news = False
        """Whether there are answers that no renewal has told yet; whoever tells them sets it back."""

    @property
    def answers(self) -> Sequence[Answer]:
        """The last few, oldest first."""
        if self._stacks_at and time.monotonic() - self._stacks_at > STACKS_KEPT_SECONDS:
            self._stacks_at = 0.0
            short = [
                Answer(id=answer.id, done=answer.done, text=answer.text.partition("\n")[0]) for answer in self._answers
            ]
            self._answers = deque(short, maxlen=ANSWERS_KEPT)
        return tuple(self._answers)

    def step(self) -> float:
        """Obey what is new; return the seconds until the next look.

        Raises:
            BrokerUnavailable: nothing was obeyed.
        """
        if not self._shared.words[Word.SESSION_OPEN]:
            return LOOK_SECONDS
        for standing in self._new_orders():
            answer = self._obey(standing.order)
            log = logger.info if answer.done else logger.warning
            log("Order %r: %s", standing.order.verb, answer.text.partition("\n")[0])
            self._answers.append(answer)
            self._shared.words[Word.ORDER] = standing.number
            self.has_news = True
        return LOOK_SECONDS

    def _new_orders(self) -> Sequence[Standing]:
        try:
            return self._broker.orders_of(self._session, after=self._shared.words[Word.ORDER])
        except InvalidMessage as error:
            if not self._is_told:  # once: the same line is there at each look
                logger.error("%s None of the orders that stand there is obeyed.", error)
            self._is_told = True
            return ()

    def _obey(self, order: Order) -> Answer:
        match order.verb:
            case Verb.QUIET:
                return self._quiet(order)
            case Verb.RESUME:
                return self._resume(order)
            case Verb.STOP:
                self._shared.words[Word.STOP_ORDERED] = 1
                self._poke_supervisor()
                return Answer(id=order.id, done=True, text="it stops")
            case Verb.CONCURRENCY:
                return self._set_concurrency(order)
            case Verb.STACKS:
                return self._say_stacks(order)
        return Answer(id=order.id, done=False, text=f"its version does not know the order {order.verb!r}")

    def _quiet(self, order: Order) -> Answer:
        self._shared.words[Word.QUIET] = 1
        self._poke_children()
        deadline = time.monotonic() + ASKED_SECONDS
        while any(child[ChildWord.ASKING] and not child[ChildWord.DEATH] for child in self._shared.children):
            if time.monotonic() > deadline:
                return Answer(id=order.id, done=False, text="it claims nothing more, once the broker has answered")
            self._sign()
            time.sleep(ASKING_LOOK_SECONDS)
        running = sum(child[ChildWord.RUNNING] for child in self._shared.children)
        jobs = "no job runs" if not running else f"{running} running job{'' if running == 1 else 's'} may end"
        return Answer(id=order.id, done=True, text=f"it claims nothing more; {jobs}")

    def _resume(self, order: Order) -> Answer:
        self._shared.words[Word.QUIET] = 0
        self._poke_children()
        if self._shared.stopping or self._shared.words[Word.STOP_ORDERED]:
            return Answer(id=order.id, done=False, text="it is stopping, and cannot resume")
        return Answer(id=order.id, done=True, text="it claims jobs")

    def _set_concurrency(self, order: Order) -> Answer:
        options, count = self._options, order.value
        if options.pool is not PoolKind.PROCESSES:
            text = (
                f"its pool is {options.pool.value!r}, which has no children to add: start it with another --concurrency"
            )
        elif options.autoscale:
            text = f"it scales itself between {options.autoscale[0]} and {options.autoscale[1]} children (--autoscale)"
        elif count is None or not 1 <= count <= options.most_children:
            text = (
                f"it can have 1 to {options.most_children} children, not {count}: more have to be asked for with "
                "--concurrency when it starts"
            )
        else:
            before = self._shared.words[Word.CHILDREN]
            self._shared.words[Word.CHILDREN] = count
            self._poke_supervisor()
            return Answer(id=order.id, done=True, text=f"{count} children, {before} before")
        return Answer(id=order.id, done=False, text=text)

    # -- stacks ------------------------------------------------------------------------------------------------

    def _say_stacks(self, order: Order) -> Answer:
        self._stacks_at = time.monotonic()
        children = [child for child in self._shared.children if child[ChildWord.PID] and not child[ChildWord.DEATH]]
        is_one_process = self._stacks.maker == os.getpid()
        parts = self._parts_of_one(children) if is_one_process else self._parts_of_all(children)
        room = MAX_STACKS // max(1, len(parts))
        text = "\n".join(part if len(part) <= room else f"{part[:room]}\n  ... (cut)\n" for part in parts)
        count = f"{len(parts)} process{'' if len(parts) == 1 else 'es'}"
        return Answer(id=order.id, done=True, text=f"the stacks of {count}\n{text}")

    def _parts_of_one(self, children: Sequence[ChildSlots]) -> list[str]:
        jobs = "".join(self._jobs_of(child) for child in children)
        return [f"worker, process {os.getpid()}:\n{jobs}{self._stacks.of_this_process()}"]

    def _parts_of_all(self, children: Sequence[ChildSlots]) -> list[str]:
        parts = []
        if os.getppid() == (parent := self._stacks.maker):  # else it is dead, and its number may be another's
            parts.append(f"supervisor, process {parent}:\n{self._stacks.of(parent, self._sign)}")
        parts.append(f"keeper, process {os.getpid()}:\n{self._stacks.of_this_process()}")
        for child in children:
            pid = child[ChildWord.PID]
            jobs = self._jobs_of(child)
            parts.append(f"child {child.index + 1}, process {pid}:\n{jobs}{self._stacks.of(pid, self._sign)}")
        return parts

    def _jobs_of(self, child: ChildSlots) -> str:
        """Return a line for each job that a child runs, with how long it has run."""
        running = [job for job in child.jobs() if job.state is Held.RUNNING]
        if not running:
            return "  runs no job\n"
        shown = running[:JOBS_SHOWN]
        known = self._broker.state_of([job.id for job in shown])
        now_us = time.time_ns() // 1000
        lines = [
            f"  runs {known[job.id].task if job.id in known else '(a task unknown here)'} {job.id}"
            f" for {max(0, now_us - job.started_us) / 1_000_000:.1f} s\n"
            for job in shown
        ]
        if len(running) > len(shown):
            lines.append(f"  and {len(running) - len(shown)} more\n")
        return "".join(lines)
