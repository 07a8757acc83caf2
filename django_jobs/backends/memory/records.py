"""What the memory store holds: one record per live job, one mark per id that has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import PRIORITY_MAX, Message
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.states import State

MARK_OWN_US: Final = 15_000_000
"""The producer of an id that we made gives up after 3 s."""
MARK_GIVEN_US: Final = 86_400_000_000
PARKED: Final = "unknown task"
LIMITED: Final = "limit"

Entry = tuple[int, int, int, str]
"""A place in a line: (100 - priority, at_us, number of the enqueue, id). A returned job keeps it."""


class Mark(NamedTuple):
    """An id that may not be enqueued before `until_us`."""

    until_us: int
    ended: bool
    """False where only a cancel has named the id: no such job was ever here."""


class Member(NamedTuple):
    """Who holds a unique key, and to when."""

    job_id: str
    until_us: int | None
    """Held for a time; None for as long as the job lives."""
    until_start: bool


@dataclass(slots=True, eq=False)
class Record:
    """A live job. It is claimed where `claim` is set, else it stands in line, is due later, parked or put aside."""

    message: Message
    enqueued_us: int
    at_us: int
    """Its place: when it was enqueued, or when it is due."""
    number: int
    expires_us: int | None
    size: int
    """Bytes of the body."""
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    parked: bool = False
    aside: bool = False
    """True while it waits for the end of a pause, apart from the lines."""
    let_in: bool = False
    """Whether its limit, if it has one, has let it through for one claim."""
    has_turn: bool = False
    """Whether `at_us` is the place that its key gave it, which may lie a little ahead of the clock."""
    later: bool = False
    """True while it waits for its time, apart from the lines."""
    cancel_requested: bool = False
    terminate_requested: bool = False
    claim: ClaimName | None = None
    started_us: int | None = None
    attempts: str = ""

    def entry(self) -> Entry:
        return (PRIORITY_MAX - self.message.priority, self.at_us, self.number, self.message.id)

    def state(self, now_us: int) -> State:
        if self.claim is not None:
            return State.RUNNING
        if not self.later or self.at_us <= now_us:
            return State.QUEUED
        return State.RETRYING if self.attempt else State.SCHEDULED

    def limit_key(self) -> str | None:
        bounds = self.message.bounds
        return bounds.limit.key if bounds and bounds.limit else None

    def why_parked(self, now_us: int) -> str:
        if self.claim is not None or self.aside:
            return ""
        if self.parked:
            return PARKED
        waits = self.limit_key() is not None and not self.let_in and not (self.later and self.at_us > now_us)
        return LIMITED if waits else ""

    def as_claim(self, name: ClaimName, now_us: int) -> Claim:
        return Claim(
            message=self.message,
            name=name,
            attempt=self.attempt,
            failures=self.failures,
            crashes=self.crashes,
            suspect=self.suspect,
            expired=self.expires_us is not None and self.expires_us <= now_us,
            enqueued_us=self.enqueued_us,
            attempts=self.attempts,
        )

    def as_view(self, now_us: int) -> JobView:
        message = self.message
        state = self.state(now_us)
        return JobView(
            id=message.id,
            task=message.task,
            queue=message.queue,
            state=state,
            body=message.body,
            priority=message.priority,
            parked=self.why_parked(now_us),
            attempt=self.attempt,
            failures=self.failures,
            crashes=self.crashes,
            suspect=self.suspect,
            cancel_requested=self.cancel_requested,
            enqueued_us=self.enqueued_us,
            due_us=self.at_us if state in {State.SCHEDULED, State.RETRYING} else None,
            expires_us=self.expires_us,
            started_us=self.started_us,
            claim=self.claim,
            attempts=self.attempts,
            place=message.id,
        )

    def as_result(self, status: State, *, finished_us: int) -> StoredResult:
        message = self.message
        return StoredResult(
            id=message.id,
            task=message.task,
            queue=message.queue,
            status=status,
            body=message.body,
            priority=message.priority,
            id_given=message.id_given,
            attempts=self.attempts,
            attempt=self.attempt,
            failures=self.failures,
            crashes=self.crashes,
            enqueued_us=self.enqueued_us,
            started_us=self.started_us,
            finished_us=finished_us,
        )
