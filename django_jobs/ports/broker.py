"""What holds waiting and claimed jobs. Every backend keeps these promises; `testing.contracts` proves it.

Times come from the broker's own clock, read in the step that writes. A *fence* is (attempt, claim name): a write
with another fence than the stored one changes nothing. Every write may be repeated blindly with the same answer.
Each method that reaches the store may raise BrokerUnavailable (also NotMigrated); then whether a write was done is
unknown, and the caller repeats it or lets the fence decide.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Self

import msgspec

from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Outcome, StoredResult
from django_jobs.core.session import SessionInfo
from django_jobs.core.states import State
from django_jobs.exceptions import UniqueConflict
from django_jobs.ports.atomic import AtomicRuns
from django_jobs.ports.control import OrderBook
from django_jobs.ports.outlist import OutList
from django_jobs.ports.pausing import Pausing

PROGRESS_KEPT_SECONDS: Final = 86_400


class CancelAnswer(StrEnum):
    """What a cancel came to."""

    CANCELLED = "cancelled"
    """It was not claimed; it will never start."""
    REQUESTED = "requested"
    """It is claimed: a flag is set. It ends CANCELLED unless the running attempt finishes it."""
    TOO_LATE = "too late"
    """It had ended."""
    UNKNOWN = "unknown"
    """No such id; a mark was left, so that a job of this id that arrives later will never start."""


class Taken(NamedTuple):
    """What became of a message."""

    id: str
    """Of the job that stands for it: its own, or that of the job which holds its unique key."""
    is_new: bool


def key_is_held(message: Message, job_id: str) -> UniqueConflict:
    """Return the error of a message whose unique key another job holds."""
    return UniqueConflict(
        f"The job {job_id} of {message.task} holds the unique key of this call. Nothing was enqueued.", job_id=job_id
    )


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one exchange."""

    claims: tuple[Claim, ...] = ()
    stale: tuple[str, ...] = ()
    """Ids of outcomes that changed nothing, because another fence holds the job or it has ended."""
    more: bool = False
    """True when a queue that was asked for may hold more: ask again before waiting."""
    next_due_seconds: float | None = None
    """Seconds until the earliest known later job; None for none known."""


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a renewal."""

    alive: bool
    """False: the session was declared dead (or never opened). Its jobs belong to others; kill what runs."""
    held: tuple[ClaimName, ...] = ()
    """Every claim of the session that the broker still holds."""


class Rescued(msgspec.Struct, frozen=True, kw_only=True):
    """What a rescue did."""

    sessions: tuple[str, ...] = ()
    """Sessions that were found dead in this call."""
    jobs: int = 0
    """Claimed jobs that went back, or ended."""
    more: bool = False
    """True when the limit was reached: call again."""


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """How many live jobs a queue holds, by state, and how long the oldest one that may run has waited."""

    queue: str
    scheduled: int = 0
    queued: int = 0
    retrying: int = 0
    parked: int = 0
    running: int = 0
    oldest_seconds: float = 0.0


class Broker(Pausing, OrderBook, OutList):
    """Holds jobs between their enqueue and their end."""

    in_transaction: bool = False
    """True where `enqueue_many` takes part in the caller's database transaction on `alias`."""
    alias: str | None = None
    """The database alias whose transaction an enqueue joins; None where `in_transaction` is False."""

    claims_at_hints: bool = False
    """Whether the store claims by itself for a worker that waits, once it hints: `wait_and_claim`. What saves no round
    trip is not worth it: such a claim is asked for up to a second before it is made."""

    # -- producers ---------------------------------------------------------------------------------------------

    @abstractmethod
    def enqueue_many(self, messages: Sequence[Message]) -> list[bool]:
        """Take in `messages`, in order; say for each whether it is new (False: its id is live or marked).

        One whose unique key another job holds is not new either, unless it replaces that job: see `enqueue_unique`.

        Atomic: all of the call or nothing; inside the caller's transaction where `in_transaction`.
        Blocks: at most 3 s.

        Raises:
            BrokerFull: no room; nothing was taken in.
        """

    @abstractmethod
    def enqueue_unique(self, messages: Sequence[Message]) -> list[Taken]:
        """Take in `messages` as `enqueue_many` does; say for each which job stands for it.

        A unique key is a member (key, job id), taken in this step, and freed in the step that ends its job. Held by
        another job it answers as `bounds.unique.conflict` says: with that job; by ending that job CANCELLED, where it
        waits, in this step; or by raising. A member is free whose job is not live, or has been claimed (`until_start`);
        one with `for_us` is free when its time is over, and not before.

        Atomic: as `enqueue_many`; where one of the messages may replace a job, each message may be a step of its own.
        Blocks: at most 3 s.

        Raises:
            UniqueConflict: a key is held, and its message has `conflict="raise"`. Nothing was taken in.
            BrokerFull: no room; nothing was taken in.
        """

    def enqueue_tick(self, schedule: str, tick_us: int, message: Message) -> bool:
        """Take in the job of one tick (microseconds since 1970) of the schedule of this name; say whether it is new.

        Only for brokers that do not share a transaction with the table of schedules. A tick that is not later than
        the last one that was taken in for this schedule is refused, for ever: the broker keeps one number per schedule.

        Atomic: the comparison, the new number and the enqueue, or nothing.
        Blocks: at most 3 s.
        Without a number of its own a broker keeps this for as long as the mark of the job's id lives: that is what
        this implementation does.

        Raises:
            BrokerFull: no room; nothing was taken in, and the number stays.
        """
        return self.enqueue_many((message,))[0]

    @abstractmethod
    def cancel(self, job_id: str, *, terminate: bool = False) -> CancelAnswer:
        """Cancel one job by id; an unknown id is marked. `terminate` asks the worker that runs it to end it.

        A job that was asked for once to be terminated stays so.

        Atomic: yes.
        Blocks: at most 3 s.
        """

    def cancel_many(self, job_ids: Sequence[str], *, terminate: bool = False) -> list[CancelAnswer]:
        """Cancel jobs by id, each as `cancel` does; say in the same order what each came to.

        Atomic: each job by itself; what was cancelled before an error stays cancelled.
        Blocks: about a millisecond for each job; give it some hundreds.
        """
        return [self.cancel(job_id, terminate=terminate) for job_id in job_ids]

    @abstractmethod
    def requeue(self, stored: StoredResult) -> bool:
        """Start an ended job again (an explicit retry): same id, failures and crashes 0, attempts go on growing.

        Atomic: the stored result gives way in the same step where the result store is this same store. False
        when the job is live, its stored state is no longer `stored.status` and attempt, or another job holds its
        unique key (one that is held to the end; the others have had their time).
        """

    # -- children ----------------------------------------------------------------------------------------------

    @abstractmethod
    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        """Settle `outcomes`, then claim what `want` asks for, highest priority first, then oldest.

        A job with `bounds.fair` stands where its turn is, from its enqueue on, or from when it is due: among jobs of
        one queue and priority the n-th that waits of a key is passed by at most n + 1 of each other key, and by no
        later one of its own. What goes back keeps its place.

        Atomic: each outcome applies with all that follows from it, or not at all; a job is claimed by one session
        only. Due jobs become ready inside the claim.
        Blocks: never; claims nothing when nothing is due.
        Repeating a call with the same `want.name` claims the same jobs; outcomes whose fence is stale change
        nothing and come back as such.
        """

    @abstractmethod
    def ready_queues(self) -> list[str]:
        """Return the names of the queues that hold a job which is ready or due, in any order; paused ones are left out.

        Blocks: never.
        """

    @abstractmethod
    def suspect_queues(self) -> list[str]:
        """Return the names of the queues that hold a suspect which waits, in any order; paused ones are left out.

        Blocks: never.
        """

    @abstractmethod
    def wait(self, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None) -> None:
        """Return when there may be something to claim in `queues` (None: any), or after the timeout.

        A hint only: it may return early or late for reasons of its own. Returns at once when `wake_fd`
        becomes readable; the caller empties it.
        """

    def wait_and_claim(
        self, want: Want, queues: Collection[str] | None, timeout_seconds: float, wake_fd: int | None = None
    ) -> Exchanged | None:
        """`wait`, then `exchange` of no outcomes for `want`; None where it is not known whether that claimed.

        Only asked for where `claims_at_hints`. After None, and after an error, the caller repeats `want` by `exchange`.
        """
        raise NotImplementedError(f"{type(self).__name__} has claims_at_hints, and no wait_and_claim.")

    # -- keepers -----------------------------------------------------------------------------------------------

    @abstractmethod
    def open_session(self, session: SessionInfo) -> None:
        """Make the session known, alive, renewed now."""

    @abstractmethod
    def renew(self, session: SessionInfo) -> Renewal:
        """Renew the session, store its `state` and `details`, and say which claims the broker holds for it.

        An expired session that nobody declared dead goes on; a dead one stays dead.
        """

    @abstractmethod
    def close_session(self, session_id: str) -> None:
        """Forget the session; what it still holds is rescued as from a dead one."""

    @abstractmethod
    def sessions(self) -> list[SessionInfo]:
        """Return every known session, oldest first."""

    @abstractmethod
    def release(self, names: Collection[ClaimName], *, cause: str) -> int:
        """Give back all that is left of these claims, uncharged; return how many jobs.

        A flagged job ends CANCELLED instead. Call it only for what cannot be running any more.
        """

    @abstractmethod
    def rescue(
        self, *, timeout_seconds: float, max_crashes: int, at_most_once: Collection[str], limit: int = 500
    ) -> Rescued:
        """Declare sessions dead that were not renewed for `timeout_seconds`, and give back what dead or unknown
        sessions hold, at most `limit` jobs.

        Each such job becomes a suspect, and is charged a crash where it was one already (QUARANTINED at
        `max_crashes`). Jobs of tasks named in `at_most_once` end FAILED (WorkerLostError). The cause `session death`
        is appended to the attempts.

        Atomic: alive -> dead is one step per session, jobs go back in one step per call.
        """

    @abstractmethod
    def mark_started(self, running: Sequence[tuple[str, int, int]]) -> list[str]:
        """Note (id, attempt, started_us) of jobs that run longer than a second, for people to see.

        Returns those of the ids whose cancel is requested.
        """

    @abstractmethod
    def cancels_of(self, job_ids: Collection[str]) -> Mapping[str, bool]:
        """Return those of the claimed jobs whose cancel is requested; True for one that is to be terminated.

        Blocks: never.
        """

    @abstractmethod
    def set_progress(self, notes: Sequence[tuple[str, int, str]]) -> Sequence[str]:
        """Keep what running jobs say about themselves, as (id, attempt, text); return the ids whose words were kept.

        Atomic: yes; an attempt that is not the claimed one changes nothing.
        Kept for a day after a job has spoken last, whatever becomes of it.
        """

    @abstractmethod
    def progress_of(self, job_ids: Collection[str]) -> Mapping[str, str]:
        """Return the last words of the jobs among `job_ids` that have said something, by id."""

    @abstractmethod
    def unpark(self, tasks: Collection[str]) -> int:
        """Put jobs that were parked because nobody knew their task back in line; return how many."""

    @abstractmethod
    def let_in(self, *, limit: int = 100) -> int:
        """Let jobs through that wait behind a limit which has room, as it does where who should have done it died on
        the way; look at `limit` keys at most, at others the next time, and return how many jobs.

        A job with `bounds.limit` waits apart from its line until its key has a place and its rate allows a start, in
        the order of the line. It has its place from then to the end of its next claim: whoever ends that, in whatever
        way, lets the next one through in the same step. Claims let in who is due by its rate.

        Atomic: each key is a step.
        """

    @abstractmethod
    def sweep(self, *, limit: int = 1000) -> int:
        """Drop marks and closed sessions whose time is over; return how many."""

    # -- people ------------------------------------------------------------------------------------------------

    @abstractmethod
    def state_of(self, job_ids: Collection[str]) -> dict[str, JobView]:
        """Return the live jobs among `job_ids`, by id."""

    @abstractmethod
    def stats(self) -> list[QueueStats]:
        """Count the live jobs of each queue."""

    @abstractmethod
    def list(
        self,
        *,
        queue: str | None = None,
        state: State | None = None,
        task: str | None = None,
        parked: bool | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[JobView]:
        """Return a page of live jobs, in a stable order; `after` is the `place` of the last one seen.

        `parked` keeps those that are put aside (True), or all others (False).
        """

    @abstractmethod
    def describe(self) -> str:
        """Say in one line what this is connected to, without passwords."""

    def risks(self) -> Mapping[str, str]:
        """Ask the store what endangers jobs in it: `eviction`, `persistence`, `version`, `shared`, `open` -> detail.

        For checks and a worker's start; what there is no danger of, or what the store does not tell, is left out.
        """
        return {}

    # -- what some stores can ---------------------------------------------------------------------------------

    def wait_for_end(self, job_ids: Collection[str], timeout_seconds: float) -> bool:
        """Return when one of `job_ids` may have ended, or after the timeout; False at once where none can tell."""
        return False

    def atomic_runs(self, may_commit: Callable[[], bool]) -> AtomicRuns | None:
        """Return what runs atomic jobs; None where the broker shares no transaction with what jobs write.

        `may_commit` says whether the session is known to live; it is asked right before each settle.
        """
        return None

    def was_settled(self, outcomes: Sequence[Outcome]) -> None:
        """Take note that atomic jobs have settled these over connections of their own."""

    # -- connections -------------------------------------------------------------------------------------------

    @abstractmethod
    def own(self) -> Self:
        """Return the same broker over a connection of its own, for a process that nobody else shares.

        Nothing is connected before the first call of another method; jobs that close the project's connections
        do not touch it, and an autocommit call never joins a transaction of the project's.
        """

    def while_waiting(self, call: Callable[[], None]) -> None:
        """Call this now and then where a store makes its users wait, for as long as another one has it for itself."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection of its own, if any; the next call connects again."""
