"""Taking in jobs that are bound to others, by a script of their own: the one for free jobs stays as lean as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.ledger import Argument, Keeping
from django_jobs.backends.redis.people import Found, as_cancelled, find
from django_jobs.backends.redis.records import limit_arguments, pack_message, rank, turn_argument, when
from django_jobs.backends.redis.scripts import BOUND
from django_jobs.core.bounds import Unique
from django_jobs.core.message import Message
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.ports.broker import Taken, key_is_held

TRIES: Final = 50
NOBODY_REPLACED: Final[tuple[Argument, ...]] = ("",) * 10


def enqueue(family: Family, keeping: Keeping, messages: Sequence[Message], *, raises: bool) -> list[Taken]:
    """Take in jobs; say which job stands for each message.

    Where one may replace a job, each message is a step of its own.

    Raises:
        UniqueConflict: where `raises`; then nothing was taken in.
    """
    if any(_conflict(message) == "replace" for message in messages):
        return [_enqueue_one(family, keeping, message, raises=raises) for message in messages]
    answers = _run(family, messages, raises=raises)
    if answers and answers[0] == b"conflict":
        raise key_is_held(messages[int(answers[1]) - 1], answers[2].decode())
    return [_taken(message, answer) for message, answer in zip(messages, answers, strict=True)]


def enqueue_tick(family: Family, keeping: Keeping, schedule: str, tick_us: int, message: Message) -> bool:
    """Take in the job of a tick, if the tick is later than the schedule's last one; say whether the job is new."""
    return _enqueue_one(family, keeping, message, raises=False, tick=(schedule, tick_us)).is_new


def _enqueue_one(
    family: Family, keeping: Keeping, message: Message, *, raises: bool, tick: tuple[str, int] = ("", 0)
) -> Taken:
    """Take in one job; where it may replace another, look at that one first, and end it in the same step."""
    replaced: Found | None = None
    for _ in range(TRIES):
        arguments = None if replaced is None else (replaced.message.id, *as_cancelled(keeping, replaced))
        answers = _run(family, [message], raises=raises, tick=tick, replaced=arguments)
        if answers[0] == b"conflict":
            raise key_is_held(message, answers[2].decode())
        if answers[0] != b"look":
            return _taken(message, answers[0])
        _, found = find(family, [answers[2].decode()])
        replaced = found[0] if found and found[0].where != "claimed" else None
        if found and replaced is None:  # it has been claimed: it is not replaced
            message = _that_replaces_nothing(message)
    raise BrokerUnavailable(f"The job that {message.id} was to replace kept changing; try again. Nothing was enqueued.")


def _that_replaces_nothing(message: Message) -> Message:
    bounds = message.bounds
    if bounds is None or bounds.unique is None:
        return message
    return replace(message, bounds=replace(bounds, unique=replace(bounds.unique, conflict="existing")))


def _run(
    family: Family, messages: Sequence[Message], *, raises: bool, tick: tuple[str, int] = ("", 0),
    replaced: tuple[Argument, ...] | None = None,
) -> list[Any]:  # fmt: skip
    arguments: list[Argument] = [*tick, int(raises)]
    for message in messages:
        unique = message.bounds.unique if message.bounds else None
        arguments += (
            message.id, message.queue, rank(message.priority), when(message), pack_message(message),
            unique.key if unique else "", _mode(unique), unique.conflict if unique else "existing",
            *limit_arguments(message), turn_argument(message),
            *(replaced or NOBODY_REPLACED),
        )  # fmt: skip
    answers: list[Any] = family.run(BOUND, arguments)
    return answers


def _mode(unique: Unique | None) -> str:
    if unique is None:
        return ""
    if unique.for_us is not None:
        return str(unique.for_us)
    return "s" if unique.until_start else "f"


def _conflict(message: Message) -> str | None:
    unique = message.bounds.unique if message.bounds else None
    return unique.conflict if unique else None


def _taken(message: Message, answer: bytes | int) -> Taken:
    if isinstance(answer, bytes):
        return Taken(answer.decode(), is_new=False)
    return Taken(message.id, is_new=bool(answer))
