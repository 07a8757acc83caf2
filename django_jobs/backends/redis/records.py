"""How jobs and results are written into Redis, and read from it.

Lua reads only what stands before the packed parts: digits, so that no number passes through its doubles unseen.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from django_jobs.core.bounds import bounds_of
from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import PRIORITY_MAX, Message
from django_jobs.core.outcome import StoredResult
from django_jobs.core.states import State
from django_jobs.exceptions import InvalidMessage

MARK_OWN_US: Final = 15_000_000
"""The producer of an id that we made gives up after 3 s."""
MARK_GIVEN_US: Final = 86_400_000_000

STAMP: Final = 16
"""Digits of an instant in microseconds, from 2001 to 2286."""
HEAD: Final = STAMP + 3 + 4
"""Where a record's packed head begins: after enqueued_us, the rank and the head's length."""
TICK_US: Final = 32
EPOCH_US: Final = 1_767_225_600_000_000
TICKS: Final = 2**45


class Head(NamedTuple):
    """The fields of a message that are packed before its body."""

    task: str
    queue: str
    priority: int
    id_given: bool
    eta_us: int | None
    delay_us: int | None
    expires_us: int | None
    expires_after_us: int | None
    bound: bool = False
    """True where the body says what binds the job to others."""


class Meta(NamedTuple):
    """What is packed of a job that has been claimed before."""

    failures: int
    crashes: int
    parked: bool
    attempts: str


class Kept(NamedTuple):
    """A stored result, packed; its id is in the key and its attempt before it."""

    task: str
    queue: str
    status: str
    body: str
    priority: int
    id_given: bool
    result: str
    error_class: str
    error_message: str
    traceback: str
    attempts: str
    failures: int
    crashes: int
    enqueued_us: int
    started_us: int | None
    finished_us: int | None
    worker: str


pack: Final = msgspec.msgpack.Encoder().encode
_read_head: Final = msgspec.msgpack.Decoder(Head).decode
_read_meta: Final = msgspec.msgpack.Decoder(Meta).decode
_read_kept: Final = msgspec.msgpack.Decoder(Kept).decode
NO_META: Final = Meta(0, 0, False, "")


class Entry(NamedTuple):
    """A live job as it was read: what a claim says, and its place in line."""

    claim: Claim
    place: str
    started_us: int | None = None
    flagged: bool = False


def rank(priority: int) -> int:
    """Turn a priority (higher first) into a number that sorts ascending."""
    return PRIORITY_MAX - priority


def pack_message(message: Message) -> bytes:
    """Return a record without its first 19 digits, which the script writes."""
    fields: tuple[Any, ...] = (
        message.task, message.queue, message.priority, message.id_given, message.eta_us, message.delay_us,
        message.expires_us, message.expires_after_us,
    )  # fmt: skip
    head = pack(fields if message.bounds is None else (*fields, True))
    return b"%04d%b%b" % (len(head), head, message.body.encode())


def limit_arguments(message: Message) -> tuple[str | int, ...]:
    """Return what the scripts need of a message's limit."""
    limit = message.bounds.limit if message.bounds else None
    if limit is None:
        return ("", "", "", "")
    return (limit.key, "-" if limit.slots is None else limit.slots, limit.period_us or 0, limit.burst)


def turn_argument(message: Message) -> str:
    """Return what the scripts need of the key by which a job takes turns; any text may be one."""
    fair = message.bounds.fair if message.bounds else None
    return "" if fair is None else f"f{fair}"


def when(message: Message) -> str:
    """Return when a message is due, as the scripts read it."""
    if message.eta_us is not None:
        return f"={message.eta_us}"
    return "" if message.delay_us is None else f"+{message.delay_us}"


def read_record(job_id: str, record: bytes) -> tuple[Message, int]:
    """Return the message and when it was enqueued.

    Raises:
        InvalidMessage: it is not a record of ours.
    """
    try:
        end = HEAD + int(record[HEAD - 4 : HEAD])
        task, queue, priority, id_given, eta_us, delay_us, expires_us, after_us, bound = _read_head(record[HEAD:end])
        body = record[end:].decode()
        message = Message(
            id=job_id, task=task, queue=queue, body=body, priority=priority, eta_us=eta_us, delay_us=delay_us,
            expires_us=expires_us, expires_after_us=after_us, id_given=id_given,
            bounds=bounds_of(body) if bound else None,
        )  # fmt: skip
        return message, int(record[:STAMP])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidMessage(f"What is stored as the job {job_id} is no job: {error}.") from error


def pack_meta(attempt: int, *, suspect: bool, place: str, meta: Meta) -> bytes:
    """Return what is kept of a job that goes back."""
    return b"%d %d %b %b" % (attempt, suspect, place.encode() or b"0", pack(meta))


def read_meta(stored: bytes | None) -> tuple[int, bool, Meta]:
    """Return the attempts so far, whether it is a suspect, and the rest.

    Raises:
        InvalidMessage: it is not ours.
    """
    if not stored:
        return 0, False, NO_META
    try:
        attempt, suspect, _, packed = stored.split(b" ", 3)
        return int(attempt), suspect == b"1", _read_meta(packed)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidMessage(f"What is stored of a job's attempts is not readable: {error}.") from error


def expires_us(message: Message, enqueued_us: int) -> int | None:
    """Return when a job expires, by the broker's clock."""
    if message.expires_after_us is not None:
        return enqueued_us + message.expires_after_us
    return message.expires_us


def read_claim(
    job_id: str, record: bytes, stored_meta: bytes | None, *, attempt: int, name: ClaimName, now_us: int
) -> Claim:
    """Return a claim of what is stored.

    Raises:
        InvalidMessage: what is stored is not ours.
    """
    message, enqueued_us = read_record(job_id, record)
    suspect, meta = False, NO_META
    if stored_meta:
        _, suspect, meta = read_meta(stored_meta)
    limit_us = expires_us(message, enqueued_us)
    return Claim(
        message=message, name=name, attempt=attempt, failures=meta.failures, crashes=meta.crashes, suspect=suspect,
        expired=limit_us is not None and limit_us <= now_us, enqueued_us=enqueued_us, attempts=meta.attempts,
    )  # fmt: skip


HEAD_BYTES: Final = 17 + 12 + 6 + 4 * 255
"""So many bytes of a stored result have its task's name in them."""
LETTERS: Final = {
    State.SUCCEEDED: "S", State.FAILED: "F", State.CANCELLED: "C", State.EXPIRED: "E", State.QUARANTINED: "Q",
}  # fmt: skip


def letter(status: State, *, id_given: bool) -> str:
    """Return what tells a result's status to the scripts, and who made its id."""
    return LETTERS[status] if id_given else LETTERS[status].lower()


def pack_result(stored: StoredResult) -> bytes:
    """Return a result without the digits of when it was settled, which the script writes."""
    packed = pack(
        (
            stored.task, stored.queue, stored.status.value, stored.body, stored.priority, stored.id_given,
            stored.result, stored.error_class, stored.error_message, stored.traceback, stored.attempts,
            stored.failures, stored.crashes, stored.enqueued_us, stored.started_us, stored.finished_us, stored.worker,
        )
    )  # fmt: skip
    return b"%b%d %b" % (letter(stored.status, id_given=stored.id_given).encode(), stored.attempt, packed)


def read_result(job_id: str, value: bytes) -> StoredResult:
    """Return what `pack_result` has packed; the time of the settling stands in for a missing end.

    Raises:
        InvalidMessage: it is not ours.
    """
    try:
        attempt, packed = value[STAMP + 1 :].split(b" ", 1)
        kept = _read_kept(packed)
        fields: dict[str, Any] = kept._asdict()
        fields["status"] = State(kept.status)
        if kept.finished_us is None:
            fields["finished_us"] = int(value[:STAMP])
        return StoredResult(id=job_id, attempt=int(attempt), **fields)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidMessage(f"What is stored as the result of {job_id} is no result: {error}.") from error


def task_of_result(head: bytes) -> str:
    """Return the task's name from the first HEAD_BYTES of a stored result.

    Raises:
        InvalidMessage: it is not ours.
    """
    try:
        packed = head[head.index(b" ", STAMP) + 1 :]
        at = 3  # after the header of an array of 17
        if packed[at] == 0xD9:
            start, size = at + 2, packed[at + 1]
        elif packed[at] == 0xDA:
            start, size = at + 3, int.from_bytes(packed[at + 1 : at + 3], "big")
        else:
            start, size = at + 1, packed[at] & 0x1F
        return packed[start : start + size].decode()
    except (ValueError, IndexError) as error:
        raise InvalidMessage(f"A stored value is no result: {error}.") from error


def split_claim(text: str) -> list[tuple[str, int, str]]:
    """Return (id, attempt, place) of each job that a claim holds."""
    lines = []
    for line in text.split("\n")[:-1]:
        job_id, attempt, place = line.split("\t")
        lines.append((job_id, int(attempt), place))
    return lines


def join_claim(lines: list[tuple[str, int, str]]) -> str:
    """Return the text of a claim, to the character as the script writes it."""
    return "".join([f"{job_id}\t{attempt}\t{place}\n" for job_id, attempt, place in lines])
