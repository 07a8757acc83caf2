"""What follows from an outcome, as the arguments with which the exchange script writes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from django_jobs.backends.redis.records import (
    MARK_GIVEN_US,
    MARK_OWN_US,
    Entry,
    Meta,
    join_claim,
    letter,
    pack,
    pack_meta,
    rank,
)  # fmt: skip
from django_jobs.core import attempts
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.outcome import FINAL, ErrorInfo, Kind, Outcome
from django_jobs.core.states import ENDED, State

LONG_KEPT: Final = frozenset({State.FAILED, State.QUARANTINED})
NO_ERROR: Final = ErrorInfo(error_class="")
LOST: Final = "django_jobs.exceptions.WorkerLostError"
Argument = bytes | str | int


class Keeping:
    """Where results go, and for how long, by status and by who made the id; worked out once."""

    def __init__(self, *, here: bool, ttl_seconds: float, failed_ttl_seconds: float) -> None:
        self.here = here
        """True: beside the jobs, in the settle step; False: by the out-list into another store."""
        self._ttl_ms = {
            status: max(1000, round((failed_ttl_seconds if status in LONG_KEPT else ttl_seconds) * 1000))
            for status in ENDED
        }
        self._blocks = {(status, given): self._block(status, given) for status in ENDED for given in (False, True)}
        self.dropped = {given: ("E", str(_mark_us(given))) for given in (False, True)}
        """The blocks of ends that leave a mark only."""

    def ttl_ms(self, status: State) -> int:
        """Return how long a result is kept here, at least a second."""
        return self._ttl_ms[status]

    def block(self, status: State, id_given: bool) -> tuple[str, ...]:
        """Return the beginning of the block of arguments that ends such jobs."""
        return self._blocks[status, id_given]

    def _block(self, status: State, id_given: bool) -> tuple[str, ...]:
        mark_us = _mark_us(id_given)
        if not self.here:
            return ("O", str(mark_us))
        ttl_ms = self._ttl_ms[status]
        # A result that lasts as long as its mark would is the mark.
        return ("R", letter(status, id_given=id_given), str(ttl_ms), str(0 if ttl_ms * 1000 >= mark_us else mark_us))


def _mark_us(id_given: bool) -> int:
    return MARK_GIVEN_US if id_given else MARK_OWN_US


@dataclass(slots=True)
class Group:
    """What one call changes of one claim; all of it or nothing is written."""

    name: ClaimName
    expected: str
    left: list[tuple[str, int, str]]
    keeping: Keeping
    counts_failures: bool = True
    """False where a FAILED end is the death of the process: the job itself has not failed."""
    ends: dict[tuple[str, ...], list[Argument]] = field(default_factory=dict)
    backs: list[Argument] = field(default_factory=list)
    backs_count: int = 0

    def arguments(self) -> list[Argument]:
        """Return the group as the script reads it."""
        made: list[Argument] = [
            self.name.session, f"{self.name.child}/{self.name.number}", self.expected, join_claim(self.left),
            len(self.ends) + self.backs_count,
        ]  # fmt: skip
        for block, items in self.ends.items():
            made += block
            made.append(len(items) if block[0] == "E" else len(items) // 2)
            made += items
        made += self.backs
        return made

    def apply(self, entry: Entry, outcome: Outcome) -> None:
        """Decide what becomes of a job whose fence has held."""
        kind = outcome.kind
        if kind in FINAL:
            self.end(entry, FINAL[kind], outcome)
        elif kind is Kind.CRASHED:
            self._crash(entry, outcome)
        elif entry.flagged:
            self.end(entry, State.CANCELLED, outcome)
        else:
            self._return(entry, outcome)

    def end(self, entry: Entry, status: State, outcome: Outcome, *, crashes: int | None = None) -> None:
        """End a job: its result is kept, or only a mark."""
        given = entry.claim.message.id_given
        if status is State.SUCCEEDED and not outcome.keep:
            self.ends.setdefault(self.keeping.dropped[given], []).append(outcome.id)
            return
        failures = entry.claim.failures + (status is State.FAILED and self.counts_failures)
        blob = pack_end(entry, status, outcome, failures=failures, crashes=crashes)
        items = self.ends.setdefault(self.keeping.block(status, given), [])
        items.append(outcome.id)
        items.append(blob)

    def _crash(self, entry: Entry, outcome: Outcome) -> None:
        claim = entry.claim
        charged = outcome.charged or claim.suspect
        crashes = claim.crashes + charged
        if charged and 0 < outcome.max_crashes <= crashes:
            self.end(entry, State.QUARANTINED, outcome, crashes=crashes)
        elif entry.flagged:
            self.end(entry, State.CANCELLED, outcome, crashes=crashes)
        else:
            meta = Meta(claim.failures, crashes, False, _attempts(claim, outcome))
            self._back(entry, outcome, "suspects", suspect=True, meta=meta)

    def _return(self, entry: Entry, outcome: Outcome) -> None:
        claim = entry.claim
        noted = _attempts(claim, outcome)
        if outcome.kind in {Kind.RETRYING, Kind.SNOOZED}:
            meta = Meta(claim.failures + (outcome.kind is Kind.RETRYING), 0, False, noted)
            delay_us = max(0, round(outcome.delay_seconds * 1_000_000))
            where = "retrying" if delay_us else "ready"
            if not delay_us and claim.message.bounds is not None and claim.message.bounds.fair is not None:
                self._back(entry, outcome, where, suspect=False, meta=meta)  # its turn stays its own
                return
            at = delay_us or rank(claim.message.priority)
            self._back(entry, outcome, where, suspect=False, meta=meta, place="", at=at)
            return
        parked = outcome.kind is Kind.UNKNOWN_TASK
        where = "parked" if parked else "suspects" if claim.suspect else "ready"
        meta = Meta(claim.failures, claim.crashes, parked, noted)
        self._back(entry, outcome, where, suspect=claim.suspect, meta=meta)

    def _back(
        self, entry: Entry, outcome: Outcome, where: str, *, suspect: bool, meta: Meta, place: str | None = None,
        at: int = 0,
    ) -> None:  # fmt: skip
        message = entry.claim.message
        place = entry.place if place is None else place
        stored = pack_meta(outcome.attempt, suspect=suspect, place=place, meta=meta)
        self.backs += ("B", outcome.id, where, message.queue, place, at, message.task, stored)
        self.backs_count += 1


def _attempts(claim: Claim, outcome: Outcome) -> str:
    return claim.attempts if outcome.record is None else attempts.append(claim.attempts, outcome.record)


def pack_end(
    entry: Entry, status: State, outcome: Outcome, *, failures: int, crashes: int | None = None
) -> bytes:  # fmt: skip
    """Return what is kept of a job that ends, packed as a result (see `records.pack_result`), without a detour."""
    claim = entry.claim
    message = claim.message
    error = outcome.error or NO_ERROR
    packed = pack(
        (
            message.task, message.queue, status.value, message.body, message.priority, message.id_given,
            outcome.result if status is State.SUCCEEDED else "", error.error_class, error.message, error.traceback,
            _attempts(claim, outcome), failures, claim.crashes if crashes is None else crashes, claim.enqueued_us,
            entry.started_us if outcome.started_us is None else outcome.started_us, outcome.finished_us,
            outcome.worker,
        )
    )  # fmt: skip
    return b"%b%d %b" % (letter(status, id_given=message.id_given).encode(), outcome.attempt, packed)


def by_claim(outcomes: Iterable[Outcome]) -> dict[ClaimName, list[Outcome]]:
    """Group outcomes by their claims."""
    groups: dict[ClaimName, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.name, []).append(outcome)
    return groups


class HeldClaim:
    """A claim as it is stored: its text, and what belongs to each line of it."""

    __slots__ = ("entries", "name", "text")

    def __init__(self, name: ClaimName, text: str, entries: dict[str, Entry]) -> None:
        self.name = name
        self.text = text
        self.entries = entries

    def settle(
        self, outcomes: Sequence[Outcome], keeping: Keeping, *, counts_failures: bool = True
    ) -> tuple[Group | None, list[str]]:
        """Return what is to be written, and the ids whose fence is stale."""
        group = Group(self.name, self.text, [], keeping, counts_failures)
        stale: list[str] = []
        settled: set[str] = set()
        for outcome in outcomes:
            entry = self.entries.get(outcome.id)
            if entry is None or entry.claim.attempt != outcome.attempt or outcome.id in settled:
                stale.append(outcome.id)
                continue
            settled.add(outcome.id)
            group.apply(entry, outcome)
        if not settled:
            return None, stale
        if len(settled) < len(self.entries):
            group.left = self.lines(without=settled)
        return group, stale

    def lines(self, *, without: Collection[str] = ()) -> list[tuple[str, int, str]]:
        """Return the lines of the claim's text, except those of some jobs."""
        return [
            (job_id, entry.claim.attempt, entry.place)
            for job_id, entry in self.entries.items()
            if job_id not in without
        ]


class GiveBack:
    """Makes the outcome of a job whose claim ends without its child: released, or crashed with its session."""

    def __init__(self, *, kind: Kind, cause: str, max_crashes: int = 0, at_most_once: Iterable[str] = ()) -> None:
        self.kind = kind
        self.cause = cause
        self.max_crashes = max_crashes
        self.at_most_once = frozenset(at_most_once)

    def outcomes(self, held: HeldClaim) -> list[Outcome]:
        """Return one outcome for each job that is left of the claim."""
        return [self._outcome(held.name, entry) for entry in held.entries.values()]

    def _outcome(self, name: ClaimName, entry: Entry) -> Outcome:
        claim = entry.claim
        lost = self.kind is Kind.CRASHED
        outcome = Outcome(
            id=claim.message.id, name=name, attempt=claim.attempt, kind=self.kind,
            record=AttemptRecord(attempt=claim.attempt, cause=self.cause, started_us=entry.started_us),
            max_crashes=self.max_crashes,
            error=ErrorInfo(
                error_class=LOST, message=f"The session {name.session} that ran the job is gone ({self.cause})."
            ) if lost else None,
        )  # fmt: skip
        once = lost and claim.message.task in self.at_most_once
        return replace(outcome, kind=Kind.FAILED) if once else outcome
