"""What binds a job to others: the key of which only one job may be, the limit that jobs of one key share, and the key
by which jobs take turns.

It travels twice: beside the body for brokers, and inside it, so that a stored result has it for an explicit retry.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

Conflict = Literal["existing", "replace", "raise"]
CONFLICTS: Final[tuple[Conflict, ...]] = ("existing", "replace", "raise")
KEY_MAX_LENGTH: Final = 200
"""Characters; a longer key is stored as its beginning and a digest."""


class Unique(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most one job holds `key`: to its end, unless the other fields say otherwise."""

    key: str
    until_start: bool = False
    """Held to the first claim only."""
    for_us: int | None = None
    """Held for so many microseconds from the enqueue, whether the job has ended by then or not."""
    conflict: Conflict = "existing"
    """What becomes of an enqueue while another job holds the key."""


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Jobs that share `key` wait for each other, apart from the lines of those that may run."""

    key: str
    slots: int | None = None
    """At most so many of them are in line or claimed at a time; None for any number."""
    period_us: int | None = None
    """Microseconds between two of their starts; None for none."""
    burst: int = 1
    """So many may start at once after a rest."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What binds one job."""

    unique: Unique | None = None
    limit: Limit | None = None
    fair: str | None = None
    """The key of its turn: jobs of one queue and priority take turns by it; "" is that of all that have none."""

    @property
    def only_fair(self) -> bool:
        """Whether nothing binds the job but its place in line."""
        return self.unique is None and self.limit is None


class _Bound(msgspec.Struct, frozen=True):
    bounds: Bounds | None = None


_read: Final = msgspec.json.Decoder(_Bound).decode


def bounds_of(body: str) -> Bounds | None:
    """Return what the JSON text of a body says about bounds; None also for a text that is no body."""
    try:
        return _read(body).bounds
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def key_text(task: str, value: Any) -> str:
    """Return the key of a task's jobs for a text, a whole number or a UUID.

    Raises:
        TypeError: it is something else; equal values of other types need not have equal texts.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise TypeError(f"a key is a text, a whole number or a UUID, not {type(value).__name__}")
    return _fitting(f"{task}:{value}", task)


def fair_text(value: Any) -> str:
    """Return the key of a turn for a text, a whole number or a UUID; tasks of one queue share it.

    Raises:
        TypeError: as `key_text`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise TypeError(f"a key is a text, a whole number or a UUID, not {type(value).__name__}")
    return _fitting(str(value), "")


def _fitting(text: str, begins: str) -> str:
    if len(text) <= KEY_MAX_LENGTH and text.isprintable() and not text.endswith(" "):
        return text  # MariaDB takes keys that differ in their last blanks for equal
    # A lone surrogate is no text that a store takes, but two of them must stay apart.
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{begins[: KEY_MAX_LENGTH - 65]}:{digest}"


def arguments_digest(encoded: bytes) -> str:
    """Return what stands for arguments that were encoded in one fixed way."""
    return hashlib.sha256(encoded).hexdigest()[:40]
