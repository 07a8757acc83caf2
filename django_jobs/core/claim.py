"""A message held by one session: what a broker gives to a worker."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from django_jobs.core.message import Message


class ClaimName(NamedTuple):
    """The name of one claim, made by the child before it asks and never used again.

    With the attempt number it is the fence of every write about a job of that claim.
    """

    session: str
    child: int
    """The incarnation of the child inside its session; a replaced child has another."""
    number: int

    def __str__(self) -> str:
        return f"{self.session}/{self.child}/{self.number}"

    @classmethod
    def parse(cls, text: str) -> ClaimName:
        session, child, number = text.rsplit("/", 2)
        return cls(session, int(child), int(number))


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job to run, with its fence: (attempt, name)."""

    message: Message
    name: ClaimName
    attempt: int
    """The number of claims of this job so far, this one included; it only grows."""
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    """True for a job that may have killed a process: it is run alone."""
    expired: bool = False
    """True where the broker's clock was past `expires` at the claim: settle as EXPIRED, do not run."""
    enqueued_us: int = 0
    attempts: str = ""
    """JSON list of the attempts that failed or crashed before (see `core.attempts`); empty for none."""


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What a child asks for in one claim."""

    name: ClaimName
    queues: tuple[str, ...]
    """In the order in which they are to be taken from; filled up from the next."""
    limit: int
    """At most so many jobs; 0 claims nothing."""
    max_bytes: int = 1_048_576
    """Stop before the bodies exceed so many bytes together (one job is always given)."""
    suspects: bool = False
    """Take one suspect, alone, if there is one; asked only by a child that holds and runs nothing."""
