"""A broker's promises as a model: what each call must answer, with nothing kept but what decides that.

It is written apart from every backend, and simply: it scans all jobs where a store has an index. Its clock counts whole
seconds and moves only in `advance`; use it with durations far longer than a test takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import FINAL, Kind, Outcome, StoredResult
from django_jobs.core.pause import Target
from django_jobs.core.states import State
from django_jobs.ports.broker import CancelAnswer

MARK_OWN_SECONDS = 15
MARK_GIVEN_SECONDS = 86_400


@dataclass(slots=True)
class ModelJob:
    """A live job."""

    message: Message
    at: int
    turn: int
    """With `at` its place: which call put it there, and where in that call."""
    expires_at: int | None
    attempt: int = 0
    """The last one that was seen; it only grows."""
    unseen: bool = False
    """Claimed, and the answer that says the attempt was lost."""
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    parked: bool = False
    flagged: bool = False
    doomed: bool = False
    """Flagged, and its worker is to end it."""
    claim: ClaimName | None = None
    started: bool = False
    """Whether it was ever claimed."""

    def is_ready(self, now: int) -> bool:
        return self.claim is None and not self.parked and self.at <= now

    def is_expired(self, now: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def order(self) -> tuple[int, int, int]:
        return (-self.message.priority, self.at, self.turn)


@dataclass(slots=True)
class Ended:
    """An id that is not live any more, or was only named by a cancel."""

    status: State | None = None
    """Of the stored result; None where there is none."""
    attempt: int | None = 0
    """None until somebody has seen the last one."""
    failures: int | None = 0
    """None where it is not laid down."""
    marked_until: int = 0
    known: bool = True
    forgotten: bool = False


@dataclass(slots=True)
class Life:
    """A session."""

    renewed: int
    alive: bool = True


@dataclass(slots=True)
class BrokerModel:
    """What the promises of `ports.broker` say about a sequence of calls."""

    marks_own_ids: bool = True
    now: int = 0
    turns: int = 0
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    keys: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Unique key -> the id that took it last, and whether it is held to the start only."""
    paused: set[Target] = field(default_factory=set)

    # -- producers ---------------------------------------------------------------------------------------------

    def enqueue(self, messages: Sequence[Message]) -> list[bool]:
        return [self._admit(message) for message in messages]

    def _admit(self, message: Message) -> bool:
        past = self.ended.get(message.id, Ended())
        if message.id in self.jobs or past.status is not None or past.marked_until > self.now:
            return False
        unique = message.bounds.unique if message.bounds else None
        if unique is not None:
            if self._holds_any(unique.key):
                return False
            self.keys[unique.key] = (message.id, unique.until_start)
        self.ended.pop(message.id, None)
        expires = message.expires_after_us
        self.jobs[message.id] = ModelJob(
            message=message,
            at=self.now + (message.delay_us or 0) // 1_000_000,
            turn=self._turn(),
            expires_at=None if expires is None else self.now + expires // 1_000_000,
        )
        return True

    def _holds_any(self, key: str) -> bool:
        """Say whether a live job holds the key."""
        job_id, until_start = self.keys.get(key, ("", False))
        job = self.jobs.get(job_id)
        return job is not None and not (until_start and job.started)

    def cancel(self, job_id: str, *, terminate: bool) -> CancelAnswer:
        job = self.jobs.get(job_id)
        if job is not None:
            if job.claim is not None:
                job.flagged = True
                job.doomed |= terminate
                return CancelAnswer.REQUESTED
            self._end(job, State.CANCELLED)
            return CancelAnswer.CANCELLED
        past = self.ended.setdefault(job_id, Ended(known=False))
        if past.status is State.CANCELLED:
            return CancelAnswer.CANCELLED
        if past.status is not None or (past.known and past.marked_until > self.now):
            return CancelAnswer.TOO_LATE
        if past.marked_until <= self.now and not self.is_vague(job_id):
            past.known = False
            past.marked_until = self.now + MARK_GIVEN_SECONDS
        return CancelAnswer.UNKNOWN

    def requeue(self, stored: StoredResult) -> bool:
        past = self.ended.get(stored.id, Ended())
        if stored.id in self.jobs or (past.status, past.attempt) != (stored.status, stored.attempt):
            return False
        bounds = bounds_of(stored.body)
        if bounds is not None and bounds.unique is not None and not bounds.unique.until_start:
            if self._holds_any(bounds.unique.key):
                return False
            self.keys[bounds.unique.key] = (stored.id, False)
        del self.ended[stored.id]
        message = Message(
            id=stored.id,
            task=stored.task,
            queue=stored.queue,
            body=stored.body,
            priority=stored.priority,
            id_given=stored.id_given,
            bounds=bounds,
        )
        self.jobs[stored.id] = ModelJob(
            message=message,
            at=self.now,
            turn=self._turn(),
            expires_at=None,
            attempt=stored.attempt,
            started=stored.attempt > 0,
        )
        return True

    def forget(self, job_id: str) -> int:
        past = self.ended.get(job_id, Ended())
        had = past.status is not None
        past.status, past.forgotten = None, past.forgotten or had
        return int(had)

    def is_vague(self, job_id: str) -> bool:
        """Say whether it is left open if the id is taken: its result was forgotten late, and may have left a mark."""
        past = self.ended.get(job_id, Ended())
        return past.forgotten and past.status is None and past.marked_until <= self.now

    # -- children ----------------------------------------------------------------------------------------------

    def settle(self, outcomes: Iterable[Outcome]) -> list[str]:
        """Apply outcomes; return the stale ids, in order."""
        return [outcome.id for outcome in outcomes if not self._settle(outcome)]

    def _settle(self, outcome: Outcome) -> bool:
        job = self.jobs.get(outcome.id)
        if job is None or (job.claim, job.attempt) != (outcome.name, outcome.attempt):
            return False
        job.claim = None
        if outcome.kind in FINAL:
            job.failures += outcome.kind is Kind.FAILED
            self._end(job, FINAL[outcome.kind], keep=outcome.keep)
        elif outcome.kind is Kind.CRASHED:
            self._crash(job, charged=outcome.charged or job.suspect, max_crashes=outcome.max_crashes)
        else:
            if outcome.kind in {Kind.RETRYING, Kind.SNOOZED}:
                job.failures += outcome.kind is Kind.RETRYING
                job.crashes, job.suspect = 0, False
                job.at, job.turn = self.now + int(outcome.delay_seconds), self._turn()
            job.parked = outcome.kind is Kind.UNKNOWN_TASK
            self._return(job)
        return True

    def _crash(self, job: ModelJob, *, charged: bool, max_crashes: int) -> None:
        job.crashes += charged
        job.suspect = True
        if charged and job.crashes >= max_crashes:
            self._end(job, State.QUARANTINED)
        else:
            self._return(job)

    def _return(self, job: ModelJob) -> None:
        job.claim = None
        if job.flagged:
            self._end(job, State.CANCELLED)
            self.ended[job.message.id].failures = None

    def claim(self, want: Want) -> list[ModelJob]:
        """Return the jobs that this claim must bring, in order, and hold them."""
        if want.limit < 1 or not self.lives[want.name.session].alive:
            return []
        held = self.held(want.name)
        if held:
            return held
        chosen = self._suspect(want.queues) if want.suspects else []
        if not chosen:
            chosen = [job for queue in want.queues for job in self._line(queue, suspect=False)][: want.limit]
        self._hold(chosen, want)
        return chosen

    def accept(self, want: Want, ids: Sequence[str]) -> None:
        """Hold what a claim has brought, where it may overlook some: all of it was to be had, and in this order."""
        lines = [self._line(queue, suspect=suspect) for suspect in (want.suspects, False) for queue in want.queues]
        open_to_it = [job.message.id for line in lines for job in line]
        assert len(ids) <= want.limit
        assert list(ids) == sorted(ids, key=open_to_it.index), "not the order of their lines"
        assert not ids or self.lives[want.name.session].alive, "the dead claim nothing"
        self._hold([self.jobs[job_id] for job_id in ids], want)

    def _hold(self, chosen: Sequence[ModelJob], want: Want) -> None:
        for job in chosen:
            job.claim, job.unseen, job.started = want.name, True, True

    def _suspect(self, queues: Sequence[str]) -> list[ModelJob]:
        return [job for queue in queues for job in self._line(queue, suspect=True)][:1]

    def _line(self, queue: str, *, suspect: bool) -> list[ModelJob]:
        return sorted(
            (
                job
                for job in self.jobs.values()
                if job.is_ready(self.now)
                and job.message.queue == queue
                and job.suspect is suspect
                and not self._is_paused(job)
            ),
            key=ModelJob.order,
        )

    def held(self, name: ClaimName) -> list[ModelJob]:
        """Return what is left of a claim, in no particular order."""
        return [job for job in self.jobs.values() if job.claim == name]

    def saw(self, claim: Claim) -> None:
        """Note a claim's attempt, which must be new."""
        job = self.jobs[claim.message.id]
        job.attempt, job.unseen = claim.attempt, False

    # -- keepers -----------------------------------------------------------------------------------------------

    def open(self, session: str) -> None:
        self.lives[session] = Life(renewed=self.now)

    def renew(self, session: str) -> bool:
        life = self.lives[session]
        life.renewed = self.now if life.alive else life.renewed
        return life.alive

    def close(self, session: str) -> None:
        self.lives[session].alive = False

    def release(self, names: Collection[ClaimName]) -> int:
        held = [job for job in self.jobs.values() if job.claim in names]
        for job in held:
            self._return(job)
        return len(held)

    def rescue(self, *, timeout_seconds: float, max_crashes: int, at_most_once: str) -> tuple[set[str], int]:
        """Return the sessions that die and the number of jobs that leave them."""
        died = {
            session for session, life in self.lives.items() if life.alive and self.now - life.renewed >= timeout_seconds
        }
        for session in died:
            self.lives[session].alive = False
        lost = [job for job in self.jobs.values() if job.claim and not self.lives[job.claim.session].alive]
        for job in lost:
            if job.message.task == at_most_once:
                self._end(job, State.FAILED)
                self.ended[job.message.id].failures = None
            else:
                self._crash(job, charged=job.suspect, max_crashes=max_crashes)
        return died, len(lost)

    def unpark(self, tasks: Collection[str]) -> int:
        parked = [job for job in self.jobs.values() if job.parked and job.message.task in tasks]
        for job in parked:
            job.parked = False
        return len(parked)

    # -- people ------------------------------------------------------------------------------------------------

    def queues(self) -> dict[str, dict[str, int]]:
        """Count the live jobs of each queue: waiting (in line or for its time), parked and running."""
        counts: dict[str, dict[str, int]] = {}
        for job in self.jobs.values():
            queue = counts.setdefault(job.message.queue, {"waiting": 0, "parked": 0, "running": 0})
            queue["running" if job.claim else "parked" if job.parked else "waiting"] += 1
        return counts

    def ready_queues(self) -> tuple[set[str], set[str]]:
        """Return the queues that hold what may be claimed, and those that seem to, with jobs of a paused task."""
        ready = [job for job in self.jobs.values() if job.is_ready(self.now)]
        ready = [job for job in ready if Target("queue", job.message.queue) not in self.paused]
        return {job.message.queue for job in ready if not self._is_paused(job)}, {job.message.queue for job in ready}

    def pause(self, target: Target) -> bool:
        was = target in self.paused
        self.paused.add(target)
        return not was

    def resume(self, target: Target) -> bool:
        was = target in self.paused
        self.paused.discard(target)
        return was

    def _is_paused(self, job: ModelJob) -> bool:
        return not self.paused.isdisjoint({Target("queue", job.message.queue), Target("task", job.message.task)})

    # -- ends --------------------------------------------------------------------------------------------------

    def _end(self, job: ModelJob, status: State, *, keep: bool = True) -> None:
        message = job.message
        del self.jobs[message.id]
        unique = message.bounds.unique if message.bounds else None
        if unique is not None and self.keys.get(unique.key, ("", False))[0] == message.id:
            del self.keys[unique.key]
        seconds = MARK_GIVEN_SECONDS if message.id_given else MARK_OWN_SECONDS * self.marks_own_ids
        self.ended[message.id] = Ended(
            status=status if keep or status is not State.SUCCEEDED else None,
            attempt=None if job.unseen else job.attempt,
            failures=job.failures,
            marked_until=self.now + seconds,
        )

    def _turn(self) -> int:
        self.turns += 1
        return self.turns
