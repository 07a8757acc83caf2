"""The worker's process beside its children: renews the session, gives back what nobody runs, rescues, prunes.

Each duty is a step that returns the seconds until it wants to be called again; `run` owns the sleeping.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.session import SessionInfo
from django_jobs.exceptions import BrokerError
from django_jobs.worker.backoff import Backoff
from django_jobs.worker.burials import Burials
from django_jobs.worker.cancels import Cancels
from django_jobs.worker.control import Control
from django_jobs.worker.deaths import now_us
from django_jobs.worker.details import session_info, state_of
from django_jobs.worker.layout import ChildWord, Flag, Held, HeldJob, Word
from django_jobs.worker.maintenance import Maintenance
from django_jobs.worker.options import fence_seconds
from django_jobs.worker.outlist import OutList
from django_jobs.worker.relaying import Relaying
from django_jobs.worker.scaling import Scaling
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.stacks import Stacks
from django_jobs.worker.wake import Wake

logger = logging.getLogger("django_jobs.worker")

LONG_SECONDS: Final = 1.0
"""A job that runs longer gets a start mark; what waits longer behind one is taken back."""
WATCH_SECONDS: Final = 0.25
SIGN_SECONDS: Final = 0.5
LATE_FACTOR: Final = 2.0
"""Renewals further apart than this many periods are a gap."""
EARLY_FACTOR: Final = 0.5
"""Those closer than this many are one."""


@dataclass(slots=True)
class Duty:
    """A step and when it is due, in boot-clock seconds."""

    step: Callable[[], float]
    due_at: float = 0.0


class Keeper:
    """The duties of one session. Made in the keeper's own process; `poke_supervisor` ends the supervisor's wait."""

    def __init__(
        self,
        setup: WorkerSetup,
        *,
        session: str,
        shared: Shared,
        wake: Wake,
        poke_supervisor: Callable[[], None],
        poke_children: Callable[[], None],
        stacks: Stacks,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._setup = setup
        self._policy = setup.policy
        self._session = session
        self._shared = shared
        self._wake = wake
        self._poke_supervisor = poke_supervisor
        self._poke_children = poke_children
        self._clock = clock
        self._broker = setup.open_broker()
        self._broker.while_waiting(self._sign)
        self._backoff = Backoff("The keeper", random)
        results = setup.open_results()
        self._burials = Burials(setup, self._broker, session=session, random=random)
        self._out_list = OutList(results, self._sign, random)
        self._relaying = (
            Relaying(setup.open_outbox(), self._broker, session=session, sign=self._sign, random=random)
            if setup.open_outbox is not None
            else None
        )
        self._maintenance = Maintenance(
            broker=self._broker,
            results=results,
            lock=setup.open_lock(),
            policy=setup.policy,
            specs=[spec for name in setup.tasks if (spec := setup.find(name)) is not None],
            owner=session,
            random=random,
        )
        self._control = Control(
            setup,
            self._broker,
            session=session,
            shared=shared,
            stacks=stacks,
            sign=self._sign,
            poke_supervisor=poke_supervisor,
            poke_children=poke_children,
        )
        self._renewals_in_a_row = 0
        self._last_renewed_at = float("-inf")
        self._renewal_at = 0.0
        self._unnamed: frozenset[ClaimName] = frozenset()
        self._struck: list[Outcome] = []
        self._unpark = bool(setup.tasks)
        start = clock()
        # Deaths are settled before all of them: claims are compared only once nothing of the dead is open.
        self._duties = [
            Duty(self.open),
            Duty(self.renew),
            Duty(self.watch),
            Duty(Cancels(self._broker, shared, poke_supervisor).step),
            Duty(self.unpark),
            Duty(self.catch_up),
            Duty(self.obey),
            Duty(Scaling(setup, self._broker, shared, poke_supervisor).step if setup.options.autoscale else _never),
            Duty(self._out_list.step if not self._broker.holds_results else _never),
            Duty(self._relaying.step if self._relaying is not None else _never),
            Duty(self._maintenance.let_in),
            Duty(self.maintain, start + self._maintenance.first_seconds()),
        ]

    def run(self) -> int:
        """Do what is due until the supervisor says that no child is left; then close the session."""
        while not self._shared.words[Word.CLOSING]:
            self.sleep(self.step())
        self.finish()
        return 0

    def sleep(self, seconds: float) -> None:
        """Wait, giving signs of life, until the time is over or somebody pokes."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0 and not self._wake.wait(min(left, SIGN_SECONDS)):
            self._sign()
        self._wake.drain()

    def step(self) -> float:
        """Settle deaths and do every duty that is due; return the seconds until the next one is."""
        try:
            self._settle_deaths()
            for duty in self._duties:
                self._sign()
                if duty.due_at <= self._clock() and not self._shared.words[Word.DEAD]:
                    duty.due_at = duty.step() + self._clock()
        except BrokerError as error:  # a store that is full is away, too, until somebody has made room
            return self._unreachable(error)
        self._sign()
        return max(0.0, min(WATCH_SECONDS, min(duty.due_at for duty in self._duties) - self._clock()))

    def finish(self) -> None:
        """Settle what is left and close the session; one try each, since the session ends by itself as well."""
        try:
            self._settle_deaths()
            self._release_struck()
            if not self._broker.holds_results:
                self._out_list.step()
            self._broker.close_session(self._session)
        except BrokerError as error:
            logger.warning(
                "The session could not be closed; its jobs are rescued after %g s: %s",
                self._policy.session_timeout_seconds,
                error,
            )
        self._broker.close()

    # -- duties ------------------------------------------------------------------------------------------------

    def open(self) -> float:
        """Make the session known; children start claiming once it is."""
        if not self._shared.words[Word.SESSION_OPEN]:
            before = self._clock()
            self._broker.open_session(self._info())
            self._renewed(before)
            self._shared.words[Word.SESSION_OPEN] = 1
            self._duties[1].due_at = self._clock() + self._policy.session_renew_seconds
        return float("inf")

    def renew(self) -> float:
        """Renew the session while the supervisor lives; then compare claims and rescue."""
        period = self._policy.session_renew_seconds
        before = self._clock()
        if before - self._shared.floats[Word.SUPERVISOR_SIGN] > self._policy.session_timeout_seconds / 3:
            self._renewals_in_a_row = 0
            return min(period, WATCH_SECONDS)
        renewal = self._broker.renew(self._info())
        if not renewal.alive:
            logger.error(
                "The session %s was declared dead: it was not renewed for %g s. Its jobs belong to others; "
                "what runs is killed, and the worker begins a new session.",
                self._session,
                self._policy.session_timeout_seconds,
            )
            self._shared.words[Word.DEAD] = 1
            self._poke_supervisor()
            return period
        self._renewed(before)
        self._release_unnamed(renewal.held)
        if self._renewals_in_a_row > 2:
            self._rescue()
        return max(0.0, before + period - self._clock())

    def watch(self) -> float:
        """Mark jobs that run long, and take back what waits behind them."""
        now = self._clock()
        running: list[tuple[str, int, int]] = []
        marked: list[tuple[ChildSlots, int, HeldJob]] = []
        for child in self._shared.children:
            if child[ChildWord.PID] and not child[ChildWord.DEATH]:
                found = self._watch_child(child, now)
                running.extend((job.id, job.attempt, job.started_us) for job in found)
                marked.extend((child, child[ChildWord.INCARNATION], job) for job in found)
        self._release_struck()
        if running:
            self._broker.mark_started(running)
            for child, incarnation, job in marked:
                self._note_mark(child, incarnation, job)
        return WATCH_SECONDS

    def unpark(self) -> float:
        """Put jobs in line that waited for a worker which knows their tasks."""
        if self._unpark:
            count = self._broker.unpark(self._setup.tasks)
            self._unpark = False
            if count:
                logger.info("%d jobs of tasks that were unknown before are in line again.", count)
        return float("inf")

    def catch_up(self) -> float:
        """Do what the start of the worker had to leave undone."""
        if self._setup.catch_up is not None:
            self._setup.catch_up()
        return float("inf")

    def obey(self) -> float:
        """See to what people have ordered, and let the next renewal tell it soon."""
        seconds = self._control.step()
        if self._control.has_news:
            self._control.has_news = False
            self._duties[1].due_at = 0.0
        return seconds

    def maintain(self) -> float:
        """Prune and sweep."""
        return self._maintenance.step()

    # -- parts -------------------------------------------------------------------------------------------------

    def _sign(self) -> None:
        self._shared.floats[Word.KEEPER_SIGN] = self._clock()

    def _unreachable(self, error: Exception) -> float:
        self._renewals_in_a_row = 0
        self._broker.close()
        return self._backoff.failed(error)

    def _renewed(self, before: float) -> None:
        apart = (before - self._last_renewed_at) / self._policy.session_renew_seconds
        if apart > LATE_FACTOR:
            self._renewals_in_a_row = 1
        elif apart > EARLY_FACTOR:  # one that was early, to tell an answer, proves no period without a gap
            self._renewals_in_a_row += 1
        if apart > EARLY_FACTOR:
            self._last_renewed_at = before
        self._shared.floats[Word.RENEWED_AT] = before
        self._shared.floats[Word.FENCE_AT] = before + fence_seconds(self._policy)
        if self._backoff.worked():
            self._poke_children()  # they need not wait to the end of their own pauses

    def _release_unnamed(self, held: tuple[ClaimName, ...]) -> None:
        """Release claims that the broker holds, but that no child has named at two renewals in a row."""
        published = {
            ClaimName(self._session, incarnation, number)
            for child in self._shared.children
            for incarnation, number in child.open_claims()
        }
        unnamed = frozenset(held) - published
        forgotten = unnamed & self._unnamed
        self._unnamed = unnamed
        if forgotten:
            count = self._broker.release(forgotten, cause="forgotten")
            self._unnamed -= forgotten
            if count:
                logger.warning("%d jobs of claims that no child had named went back in line.", count)

    def _rescue(self) -> None:
        while True:
            rescued = self._broker.rescue(
                timeout_seconds=self._policy.session_timeout_seconds,
                max_crashes=self._policy.max_crashes,
                at_most_once=self._setup.at_most_once,
            )
            self._sign()
            if rescued.jobs or rescued.sessions:
                self._say_suspects()
                logger.warning("Rescued %d jobs of %d dead sessions.", rescued.jobs, len(rescued.sessions))
            if not rescued.more:
                return

    def _say_suspects(self) -> None:
        self._shared.words[Word.SUSPECTS_MADE] += 1
        self._poke_children()

    def _settle_deaths(self) -> None:
        for child in self._shared.children:
            if child[ChildWord.DEATH]:
                if self._burials.settle(child):
                    self._say_suspects()
                # The child is dead and settled: from here on the supervisor may use its block again.
                child.reset(pid=0, incarnation=0)
                self._poke_supervisor()

    def _watch_child(self, child: ChildSlots, now: float) -> list[HeldJob]:
        """Strike what waits behind a long job; return jobs that need their start mark."""
        stuck = child[ChildWord.WAITING] and now - child.seconds(ChildWord.PROGRESS) > LONG_SECONDS
        if not stuck and not child[ChildWord.RUNNING]:
            return []
        with child.locked() as taken:
            if not taken:
                return []
            incarnation = child[ChildWord.INCARNATION]
            if stuck and now - child.seconds(ChildWord.PROGRESS) > LONG_SECONDS:
                struck = child.strike(incarnation)
                self._struck.extend(
                    Outcome(
                        id=job.id,
                        name=ClaimName(self._session, incarnation, job.number),
                        attempt=job.attempt,
                        kind=Kind.RELEASED,
                    )
                    for job in struck
                )
            limit_us = now_us() - int(LONG_SECONDS * 1_000_000)
            return [
                job
                for job in child.jobs()
                if job.state is Held.RUNNING and Flag.MARKED not in job.flags and job.started_us < limit_us
            ]

    def _release_struck(self) -> None:
        if self._struck:
            self._broker.exchange(self._struck, None)
            self._struck = []

    def _note_mark(self, child: ChildSlots, incarnation: int, job: HeldJob) -> None:
        with child.locked() as taken:
            if taken and child[ChildWord.INCARNATION] == incarnation:
                child.flag(job.place, job.attempt, Flag.MARKED)

    def _info(self) -> SessionInfo:
        return session_info(
            self._setup,
            self._shared,
            session=self._session,
            state=state_of(self._shared),
            answers=self._control.answers,
        )


def _never() -> float:
    return float("inf")
