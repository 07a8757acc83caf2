"""The immutable order that travels from a producer through a broker to a worker."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from django_jobs.core.bounds import Bounds
from django_jobs.exceptions import InvalidMessage

FORMAT_VERSION: Final = 1
READABLE_VERSIONS: Final = frozenset({1})
ID_PATTERN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
QUEUE_PATTERN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
TASK_NAME_MAX_LENGTH: Final = 255
PRIORITY_MIN: Final = -100
PRIORITY_MAX: Final = 100


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a broker never looks into: the arguments, and only what the call overrode."""

    v: int
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    options: dict[str, Any] = {}
    """Overrides of the task's options for this job, by option name (max_retries, ignore_result, ...)."""
    headers: dict[str, Any] = {}
    root_id: str | None = None
    parent_id: str | None = None
    bounds: Bounds | None = None
    """As the message has them. A worker that does not know the field runs the job all the same: brokers enforce it."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One job as it is handed to a broker. Brokers read these fields and keep `body` as it is.

    Earliest start: `eta_us`, absolute, or `delay_us`, counted from the broker's clock; at most one is given.
    The same for `expires_us` and `expires_after_us`. All are microseconds, absolute ones since 1970 in UTC.
    """

    id: str
    task: str
    queue: str
    body: str
    """JSON text of a `Body`."""
    priority: int = 0
    """-100 to 100, higher first, inside one queue."""
    eta_us: int | None = None
    delay_us: int | None = None
    expires_us: int | None = None
    expires_after_us: int | None = None
    id_given: bool = False
    """True for an id that the caller gave or that was computed: its end leaves a mark for a day."""
    bounds: Bounds | None = None
    """What binds the job to others; the body has it too."""


_body_decoder = msgspec.json.Decoder(Body)
_encoder = msgspec.json.Encoder()


def encode_body(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    root_id: str | None = None,
    parent_id: str | None = None,
    bounds: Bounds | None = None,
) -> str:
    """Return the JSON text of a body; every value is already plain (see `core.serializer.to_plain`)."""
    body = Body(
        v=FORMAT_VERSION,
        args=tuple(args),
        kwargs=dict(kwargs),
        options=dict(options or {}),
        headers=dict(headers or {}),
        root_id=root_id,
        parent_id=parent_id,
        bounds=bounds,
    )
    return _encoder.encode(body).decode()


def decode_body(text: str) -> Body:
    """Read a body; its values are still plain JSON (see `core.serializer.from_plain`).

    Raises:
        InvalidMessage: the text is not JSON, not a body, or of a format version that is not readable here.
    """
    try:
        body = _body_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidMessage(f"The stored message is not readable: {error}.") from error
    if body.v not in READABLE_VERSIONS:
        raise InvalidMessage(
            f"The stored message has format version {body.v}; this worker reads {sorted(READABLE_VERSIONS)}. "
            "Update the worker."
        )
    return body


_last_id_us = 0


def new_id() -> str:
    """Return a UUIDv7 as text; ids made by one process grow, so that equal enqueue times keep their order."""
    global _last_id_us
    now_us = max(time.time_ns() // 1000, _last_id_us + 1)
    _last_id_us = now_us
    milliseconds, micros = divmod(now_us, 1000)
    # RFC 9562 method 3: the 12 bits after the version carry the fraction of the millisecond.
    fraction = micros * 4096 // 1000
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | secrets.randbits(62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
