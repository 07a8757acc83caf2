"""Orders that people give to a living worker from afar, and what it answers: as brokers store them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from django_jobs.exceptions import InvalidMessage

ORDERS_KEPT: Final = 20
"""Of each session: who gives more before the worker has looked puts the oldest out of its sight."""


class Verb(StrEnum):
    """What a worker can be told: how to be, not what to change, so that doing it twice is doing it once."""

    QUIET = "quiet"
    """Claim nothing more; what runs ends, and the worker stays."""
    RESUME = "resume"
    """Claim again."""
    STOP = "stop"
    """Stop as by SIGTERM."""
    CONCURRENCY = "concurrency"
    """Have so many children; none that runs a job is ended for it."""
    STACKS = "stacks"
    """Say what every thread is doing, and what runs."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order, under an id that its giver has made."""

    id: str
    verb: str
    """A text: a worker answers to a verb that it does not know."""
    value: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has done about an order; it stands in the details of its session."""

    id: str
    done: bool
    text: str
    """For people."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """An order in a session's list, with its number: they count from 1 in each session."""

    number: int
    order: Order


_decode: Final = msgspec.json.Decoder(Standing).decode
_encode: Final = msgspec.json.Encoder().encode


def encode_order(order: Order) -> str:
    """Return the order as one line of text."""
    return _encode(order).decode()


def append_order(text: str, order: Order) -> tuple[str, int]:
    """Add an order to a session's list, unless its id is in it; return the list and the order's number."""
    lines = text.splitlines()
    for standing in read_orders(text):
        if standing.order.id == order.id:
            return text, standing.number
    number = next((_number(line) for line in reversed(lines)), 0) + 1
    lines.append(f"[{number},{encode_order(order)}]")
    return "\n".join(lines[-ORDERS_KEPT:]), number


def read_orders(text: str, *, after: int = 0) -> Sequence[Standing]:
    """Return the orders of a list whose numbers are above `after`, in their order.

    Raises:
        InvalidMessage: somebody else has written it.
    """
    return [standing for standing in _read(text) if standing.number > after]


def _read(text: str) -> Iterator[Standing]:
    for line in text.splitlines():
        try:
            yield _decode(line)
        except msgspec.DecodeError as error:
            raise InvalidMessage(f"An order of a worker cannot be read: {line!r} ({error}).") from error


def _number(line: str) -> int:
    return _decode(line).number
