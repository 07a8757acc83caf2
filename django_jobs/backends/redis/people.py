"""What people and callers ask of single jobs and whole queues: cancel, retry, look, count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.ledger import Argument, Keeping, pack_end
from django_jobs.backends.redis.records import (
    EPOCH_US,
    MARK_GIVEN_US,
    NO_META,
    TICK_US,
    Entry,
    Head,
    Meta,
    expires_us,
    limit_arguments,
    pack_message,
    pack_meta,
    rank,
    read_meta,
    read_record,
    read_result,
    turn_argument,
)  # fmt: skip
from django_jobs.backends.redis.scripts import CANCEL, CANCELS, FIND, QUEUES, REQUEUE, STATS
from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Kind, Outcome, StoredResult
from django_jobs.core.states import State
from django_jobs.exceptions import BrokerUnavailable, InvalidMessage
from django_jobs.ports.broker import CancelAnswer, QueueStats

TRIES: Final = 50
PARKED: Final = {"parked": "unknown task", "gated": "limit"}
"""Lines of jobs that are put aside, and why."""
FIND_AT_ONCE: Final = 100
NOBODY: Final = ClaimName("", 0, 0)
_read_head: Final = msgspec.msgpack.Decoder(Head).decode


class Found(NamedTuple):
    """A live job as find.lua shows it."""

    message: Message
    enqueued_us: int
    attempt: int
    suspect: bool
    meta: Meta
    stored_meta: bytes
    where: str
    score: str
    """Of the line it waits in; the name of its claim where it is claimed."""
    flagged: bool
    started_us: int | None

    @property
    def member(self) -> str:
        """What stands for it in its line."""
        return f"{self.message.task}\n{self.message.id}" if self.where == "parked" else self.message.id

    @property
    def line(self) -> str:
        """The key of its line, without the prefix."""
        return f"{self.where}:{self.message.queue}"


def find(family: Family, ids: Sequence[str]) -> tuple[int, list[Found]]:
    """Return the broker's clock and the live ones among `ids`; what is no job of ours is left out."""
    found: list[Found] = []
    now_us = 0
    for start in range(0, len(ids), FIND_AT_ONCE):
        now, rows = family.run(FIND, ids[start : start + FIND_AT_ONCE])
        now_us = int(now)
        for row in rows:
            try:
                found.append(_found(*row))
            except InvalidMessage:
                continue
    return now_us, found


def _found(
    job_id: bytes, record: bytes, stored_meta: bytes, where: bytes, score: bytes, flag: int, started: bytes,
    attempt: bytes,
) -> Found:  # fmt: skip
    message, enqueued_us = read_record(job_id.decode(), record)
    before, suspect, meta = read_meta(stored_meta)
    return Found(
        message=message, enqueued_us=enqueued_us, attempt=int(attempt) or before, suspect=suspect, meta=meta,
        stored_meta=stored_meta, where=where.decode(), score=score.decode(), flagged=bool(flag),
        started_us=int(started) if started else None,
    )  # fmt: skip


def cancel(family: Family, keeping: Keeping, job_id: str, *, terminate: bool) -> CancelAnswer:
    """End a waiting job, flag a claimed one, mark an unknown id."""
    for _ in range(TRIES):
        _, jobs = find(family, [job_id])
        if not jobs:
            answer = family.run(CANCEL, [job_id, "mark", MARK_GIVEN_US])
            if answer != b"again":
                return _ended_answer(job_id, answer)
        elif jobs[0].where != "claimed":
            if _take(family, keeping, jobs[0]) == b"done":
                return CancelAnswer.CANCELLED
        elif jobs[0].score:
            session, child, number = jobs[0].score.rsplit("/", 2)
            if family.run(CANCEL, [job_id, "flag", session, f"{child}/{number}", int(terminate)]) == b"done":
                return CancelAnswer.REQUESTED
    raise BrokerUnavailable(f"The job {job_id} kept changing while it was to be cancelled; try again.")


def cancel_many(family: Family, keeping: Keeping, ids: Sequence[str], *, terminate: bool) -> list[CancelAnswer]:
    """Cancel jobs; those that wait are looked at together."""
    _, jobs = find(family, ids)
    waiting = {job.message.id: job for job in jobs if job.where != "claimed"}
    answers = []
    for job_id in ids:
        seen = waiting.pop(job_id, None)
        taken = seen is not None and _take(family, keeping, seen) == b"done"
        answers.append(CancelAnswer.CANCELLED if taken else cancel(family, keeping, job_id, terminate=terminate))
    return answers


def cancels_of(family: Family, job_ids: Sequence[str]) -> dict[str, bool]:
    """Return the claimed jobs whose cancel is requested; True for one that is to be terminated."""
    answers = family.run(CANCELS, job_ids)
    return {job_id: answer == 2 for job_id, answer in zip(job_ids, answers, strict=True) if answer}


def _ended_answer(job_id: str, answer: bytes) -> CancelAnswer:
    if answer == b"marked":
        return CancelAnswer.UNKNOWN
    if answer != b"ended" and read_result(job_id, answer).status is State.CANCELLED:
        return CancelAnswer.CANCELLED
    return CancelAnswer.TOO_LATE


def _take(family: Family, keeping: Keeping, found: Found) -> bytes:
    answer: bytes = family.run(CANCEL, [found.message.id, "take", *as_cancelled(keeping, found)])
    return answer


def as_cancelled(keeping: Keeping, found: Found) -> list[Argument]:
    """Return what `end_waiting` of the scripts needs to end a waiting job CANCELLED."""
    message = found.message
    claim = Claim(
        message=message, name=NOBODY, attempt=found.attempt, failures=found.meta.failures, crashes=found.meta.crashes,
        suspect=found.suspect, enqueued_us=found.enqueued_us, attempts=found.meta.attempts,
    )  # fmt: skip
    outcome = Outcome(id=message.id, name=NOBODY, attempt=found.attempt, kind=Kind.CANCELLED)
    blob = pack_end(Entry(claim, ""), State.CANCELLED, outcome, failures=claim.failures)
    block = keeping.block(State.CANCELLED, message.id_given)
    ends = block if block[0] == "R" else (block[0], "", "0", block[1])
    return [found.line, found.member, found.stored_meta, *ends, message.id, blob]


def requeue(family: Family, keeping: Keeping, stored: StoredResult) -> bool:
    """Start an ended job again, if it still is what the caller saw."""
    with family.client.errors("read a result"):
        if keeping.here:
            value = family.client.redis.get(f"{family.prefix}result:{stored.id}") or b""
        else:
            value = family.client.redis.hget(f"{family.prefix}out", stored.id) or b""
    if keeping.here and not value:
        return False
    if value:
        known = read_result(stored.id, value)
        if (known.status, known.attempt) != (stored.status, stored.attempt):
            return False
    message = Message(
        id=stored.id, task=stored.task, queue=stored.queue, body=stored.body, priority=stored.priority,
        id_given=stored.id_given, bounds=bounds_of(stored.body),
    )  # fmt: skip
    unique = message.bounds.unique if message.bounds else None
    key = unique.key if unique and not unique.until_start and unique.for_us is None else ""
    meta = pack_meta(stored.attempt, suspect=False, place="", meta=NO_META._replace(attempts=stored.attempts))
    arguments = [
        stored.id, value, stored.queue, rank(stored.priority), meta, pack_message(message), key,
        *limit_arguments(message), turn_argument(message),
    ]  # fmt: skip
    return bool(family.run(REQUEUE, arguments))


def ready_queues(family: Family) -> list[str]:
    """Return the queues that hold what is ready or due."""
    return [name.decode() for name in family.run(QUEUES)]


def suspect_queues(family: Family) -> list[str]:
    """Return the queues that hold a suspect which waits."""
    return [name.decode() for name in family.run(QUEUES, ["suspects"])]


def state_of(family: Family, ids: Collection[str]) -> dict[str, JobView]:
    """Return live jobs by id."""
    now_us, found = find(family, list(ids))
    return {job.message.id: view(job, now_us) for job in found}


STATES: Final = {
    "ready": State.QUEUED, "suspects": State.QUEUED, "parked": State.QUEUED, "gated": State.QUEUED,
    "withheld": State.QUEUED, "due": State.SCHEDULED, "retrying": State.RETRYING, "claimed": State.RUNNING,
}  # fmt: skip


def view(found: Found, now_us: int) -> JobView:
    """Return a live job as people see it."""
    message = found.message
    state = STATES[found.where]
    due_us = None
    if found.where in {"due", "retrying"}:
        due_us = int(found.score)
        state = state if due_us > now_us else State.QUEUED
    claimed = found.where == "claimed"
    return JobView(
        id=message.id, task=message.task, queue=message.queue, state=state, body=message.body,
        priority=message.priority, parked=PARKED.get(found.where, ""), attempt=found.attempt,
        failures=found.meta.failures, crashes=found.meta.crashes, suspect=found.suspect,
        cancel_requested=found.flagged, enqueued_us=found.enqueued_us,
        due_us=due_us if state is not State.QUEUED else None, expires_us=expires_us(message, found.enqueued_us),
        started_us=found.started_us, claim=ClaimName.parse(found.score) if claimed and found.score else None,
        attempts=found.meta.attempts,
        place=f"{message.queue} {found.where} {'' if claimed else found.score} {message.id}",
    )  # fmt: skip


def stats(family: Family) -> list[QueueStats]:
    """Count the live jobs of each queue."""
    now, rows, running = family.run(STATS)
    counts: dict[str, int] = {}
    for head in running:
        try:
            queue = _read_head(head).queue
        except msgspec.DecodeError:
            continue
        counts[queue] = counts.get(queue, 0) + 1
    made = [_stats(row, counts.pop(row[0].decode(), 0), int(now)) for row in rows]
    made += [QueueStats(queue=queue, running=count) for queue, count in counts.items()]
    live = [row for row in made if row.scheduled + row.queued + row.retrying + row.parked + row.running]
    return sorted(live, key=lambda row: row.queue)


def _stats(row: Sequence[Any], running: int, now_us: int) -> QueueStats:
    name, due, ready, suspects, retrying, parked, tick = row
    oldest_us = EPOCH_US + int(tick) * TICK_US if tick else now_us
    return QueueStats(
        queue=name.decode(), scheduled=due, queued=ready + suspects, retrying=retrying, parked=parked, running=running,
        oldest_seconds=max(0, now_us - oldest_us) / 1e6,
    )  # fmt: skip
