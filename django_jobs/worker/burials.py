"""Settling what dead children held: the acting half of `deaths`, in the keeper."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from django_jobs.core.claim import ClaimName
from django_jobs.core.options import TaskOptions
from django_jobs.core.outcome import JobView, Kind, Outcome
from django_jobs.exceptions import JobsError
from django_jobs.ports.broker import Broker
from django_jobs.worker import obituaries
from django_jobs.worker.deaths import DeadChild, now_us, outcomes_of, timed_out
from django_jobs.worker.layout import ChildWord, Death, Flag, Held, HeldJob
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots

logger = logging.getLogger("django_jobs.worker")


class Burials:
    """Settles the deaths of one session's children over the keeper's broker."""

    def __init__(self, setup: WorkerSetup, broker: Broker, *, session: str, random: Random) -> None:
        self._max_crashes = setup.policy.max_crashes
        self._worker = setup.options.name
        self._plans = setup.plans()
        self._broker = broker
        self._session = session
        self._random = random

    def settle(self, child: ChildSlots) -> bool:
        """Settle all that a dead child held; say whether that made suspects. Repeating it changes nothing.

        Raises:
            BrokerUnavailable: repeat the call.
        """
        dead = self._read(child)
        ended_us = child[ChildWord.ENDED_US] or now_us()
        over = [job for job in dead.jobs if Flag.HARD_DUE in job.flags]
        views = self._broker.state_of([job.id for job in (dead.jobs if obituaries.anybody_listens() else over)])
        outcomes = outcomes_of(
            replace(dead, jobs=[job for job in dead.jobs if Flag.HARD_DUE not in job.flags]),
            max_crashes=self._max_crashes,
            worker=self._worker,
            now_us=ended_us,
        )
        if over:
            outcomes.extend(self._timed_out(dead, over, views, ended_us))
        stale = frozenset(self._broker.exchange(outcomes, None).stale if outcomes else ())
        names = {ClaimName(self._session, incarnation, number) for incarnation, number in child.open_claims()}
        if names:
            self._broker.release(names, cause="crash" if dead.death is Death.CRASHED else "interrupted")
        _log(outcomes)
        for outcome in outcomes:
            if outcome.id not in stale and (view := views.get(outcome.id)) is not None:
                obituaries.send(view, outcome)
        return any(outcome.kind is Kind.CRASHED for outcome in outcomes)

    def _read(self, child: ChildSlots) -> DeadChild:
        jobs = child.jobs()
        return DeadChild(
            session=self._session,
            incarnation=child[ChildWord.INCARNATION],
            pid=child[ChildWord.PID],
            death=Death(child[ChildWord.DEATH]),
            exit_code=os.waitstatus_to_exitcode(child[ChildWord.DEATH_STATUS]),
            memory_bytes=child[ChildWord.MEMORY],
            jobs=jobs,
            timed_out=any(Flag.HARD_DUE in job.flags for job in jobs),
            terminated=any(job.state is Held.RUNNING and Flag.TERMINATE in job.flags for job in jobs),
        )

    def _timed_out(
        self, dead: DeadChild, jobs: Sequence[HeldJob], views: Mapping[str, JobView], ended_us: int
    ) -> list[Outcome]:
        """Return what the jobs came to that were killed at their hard limit: their tasks may ask for a retry."""
        return [
            timed_out(
                dead,
                job,
                view=view,
                options=self._options(view),
                random=self._random,
                worker=self._worker,
                now_us=ended_us,
            )
            for job, view in ((job, views.get(job.id)) for job in jobs)
        ]

    def _options(self, view: JobView | None) -> TaskOptions:
        """Return the options of a job; those of any task where it is gone, since then the fence refuses its outcome."""
        plan = None if view is None else self._plans.get(view.task)
        if view is None or plan is None:
            return TaskOptions()
        try:
            return plan.options_of(view.body)
        except JobsError:
            return plan.options


def _log(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.record is not None:
            level = logging.ERROR if outcome.kind is not Kind.RELEASED else logging.WARNING
            logger.log(level, "Job %s: %s", outcome.id, outcome.record.message, extra={"job_id": outcome.id})
