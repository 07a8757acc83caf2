"""Outcomes on their way to the broker: kept until answered, sent in batches, the culprit of a bad batch found."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from django_jobs.core.claim import Claim, Want
from django_jobs.core.outcome import ErrorInfo, Kind, Outcome
from django_jobs.core.serializer import clean_text
from django_jobs.exceptions import BrokerFull, BrokerUnavailable
from django_jobs.execution.errors import class_name
from django_jobs.execution.plan import Plan
from django_jobs.ports.broker import Broker, Exchanged
from django_jobs.worker.layout import Flag
from django_jobs.worker.report import Reporter
from django_jobs.worker.slots import ChildSlots

logger = logging.getLogger("django_jobs.worker")

MAX_BATCH: Final = 1000


class HeldClaim:
    """A claimed job in this child, and where it stands in the shared table."""

    __slots__ = ("claim", "index", "plan")

    def __init__(self, claim: Claim, plan: Plan | None, index: int) -> None:
        self.claim = claim
        self.plan = plan
        self.index = index


def flags_of(claim: Claim, plan: Plan | None) -> int:
    """Return what the keeper must know of a claimed job."""
    flags = Flag(0)
    if claim.suspect:
        flags |= Flag.SUSPECT
    if plan is not None and not plan.options.acks_late:
        flags |= Flag.AT_MOST_ONCE
    return int(flags)


class Ended(NamedTuple):
    """A held job and what it came to."""

    held: HeldClaim
    outcome: Outcome


def given_back(held: HeldClaim) -> Ended:
    """Return the end of a job that was claimed and has not started here."""
    claim = held.claim
    return Ended(held, Outcome(id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=Kind.RELEASED))


class Settler:
    """Sends outcomes over one broker connection. One thread at a time may call `exchange`."""

    def __init__(self, broker: Broker, slots: ChildSlots, reporter: Reporter) -> None:
        self._broker = broker
        self._slots = slots
        self._reporter = reporter
        self._unsettled: dict[int, int] = {}
        self._in_doubt = False
        self.stale = 0
        """Outcomes that the broker refused, since the start."""
        self._refused: set[str] = set()
        self.settled: deque[Ended] = deque()
        """Atomic jobs that have settled themselves, still to be reported."""

    def opened(self, number: int, jobs: int) -> None:
        """Note how many jobs a claim brought; one that brought none is over."""
        if jobs:
            self._unsettled[number] = jobs
        else:
            self._slots.withdraw(number)

    def exchange(self, ended: list[Ended], want: Want | None) -> Exchanged:
        """Settle and claim in one step, report what was settled, and take it out of `ended`.

        Raises:
            BrokerUnavailable: nothing is known about what is left in `ended`; call again with the same arguments.
        """
        try:
            exchanged = self._broker.exchange([outcome for _, outcome in ended], want)
        except BrokerUnavailable:
            self._in_doubt = bool(ended)
            raise
        except BrokerFull as error:  # no outcome is to blame: all of them wait until there is room again
            raise BrokerUnavailable(str(error)) from error
        except Exception as error:  # whatever the store's driver raises for a value that it will never take
            if not ended:
                raise BrokerUnavailable(f"The broker refused a claim: {type(error).__name__}: {error}.") from error
            return self._one_by_one(ended, want, error)
        self._answered(ended, exchanged.stale)
        ended.clear()
        return exchanged

    def was_settled(self, held: HeldClaim, outcome: Outcome) -> None:
        """Take in an atomic job that has settled itself; any thread may call this."""
        self.settled.append(Ended(held, outcome))

    def report_settled(self) -> None:
        """Forget and report the atomic jobs that have settled themselves."""
        while self.settled:
            held, outcome = self.settled.popleft()
            self._broker.was_settled([outcome])
            self._forget(held)
            self._reporter.ended(held.claim, held.plan, outcome)

    def was_refused(self, job_id: str) -> bool:
        """Say, once, whether the broker refused what a job with hooks came to."""
        refused = job_id in self._refused
        self._refused.discard(job_id)
        return refused

    def dropped(self, held: HeldClaim) -> None:
        """Forget a job that is settled by somebody else (the keeper has struck it)."""
        self._forget(held)

    def _one_by_one(self, ended: list[Ended], want: Want | None, error: Exception) -> Exchanged:
        if len(ended) > 1:
            logger.warning("A batch of %d outcomes was refused and is settled one by one: %s", len(ended), error)
            for item in list(ended):
                self.exchange([item], None)
                ended.remove(item)
            return self.exchange([], want) if want is not None else Exchanged()
        item = _refused(ended[0], error)
        try:
            exchanged = self._broker.exchange([item.outcome], None)
        except BrokerUnavailable:
            raise
        except Exception as again:  # not even the bare failure: then it is the store, not the outcome
            raise BrokerUnavailable(f"The broker refuses every outcome: {type(again).__name__}: {again}.") from again
        self._answered([item], exchanged.stale)
        ended.clear()
        return self.exchange([], want) if want is not None else exchanged

    def _answered(self, ended: Sequence[Ended], stale_ids: Sequence[str]) -> None:
        stale = frozenset(stale_ids)
        in_doubt, self._in_doubt = self._in_doubt, False
        self._slots.answered()
        for held, outcome in ended:
            if stale and outcome.id in stale and not in_doubt and held.plan is not None and held.plan.hooks is not None:
                self._refused.add(outcome.id)
            self._forget(held)
            if stale and outcome.id in stale and in_doubt:
                self._reporter.in_doubt(held.claim, outcome)
            elif stale and outcome.id in stale:
                self.stale += 1
                self._reporter.stale(held.claim, outcome)
            else:
                self._reporter.ended(held.claim, held.plan, outcome)

    def _forget(self, held: HeldClaim) -> None:
        number = held.claim.name.number
        left = self._unsettled.get(number, 1) - 1
        if left:
            self._unsettled[number] = left
        else:
            self._unsettled.pop(number, None)
            self._slots.withdraw(number)
        self._slots.free(held.index)


def _refused(item: Ended, error: Exception) -> Ended:
    """Return the job as FAILED, since the store will never take what it came to."""
    logger.error(
        "%s %s: the store refused its outcome; it is recorded as failed.",
        item.held.claim.message.task,
        item.held.claim.message.id,
        exc_info=error,
    )
    info = ErrorInfo(
        error_class=class_name(type(error)),
        message=clean_text(f"The job {item.outcome.kind.value}, but its outcome could not be stored: {error}"[:2000]),
    )
    outcome = msgspec.structs.replace(
        item.outcome, kind=Kind.FAILED, result="", error=info, record=None, delay_seconds=0.0
    )
    return Ended(item.held, outcome)
