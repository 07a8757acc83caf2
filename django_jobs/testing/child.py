"""A worker's child as a broker sees it: it names its claims and settles what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_jobs.core.bounds import Bounds
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.message import Message, encode_body, new_id
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.session import SessionInfo
from django_jobs.ports.broker import Broker, Exchanged

QUEUE = "default"
TASK = "tests.jobs.noop"


def make_message(job_id: str | None = None, **fields: Any) -> Message:
    """Return a job for `QUEUE`; ids made here grow, as a producer's do."""
    return Message(id=job_id or new_id(), **{"task": TASK, "queue": QUEUE, "body": '{"v":1}', **fields})


def make_bound(job_id: str | None = None, *, bounds: Bounds, **fields: Any) -> Message:
    """Return a job that is bound to others, as a producer makes it: its body has the bounds too."""
    return make_message(job_id, bounds=bounds, body=encode_body((), {}, bounds=bounds), **fields)


def make_session(session_id: str = "session-1", **fields: Any) -> SessionInfo:
    return SessionInfo(id=session_id, **{"worker": f"host.{session_id}", "host": "host", "pid": 1, **fields})


def make_outcome(claim: Claim, kind: Kind = Kind.SUCCEEDED, **fields: Any) -> Outcome:
    """Return an outcome of `claim` under its own fence."""
    return Outcome(**{"id": claim.message.id, "name": claim.name, "attempt": claim.attempt, "kind": kind, **fields})


class Child:
    """One child of one session over one broker. It opens its session first, unless that is `opened` already."""

    def __init__(
        self, broker: Broker, session: str = "session-1", *, incarnation: int = 1, opened: bool = False
    ) -> None:
        self.broker = broker
        self.session = session
        self.incarnation = incarnation
        self.number = 0
        if not opened:
            broker.open_session(make_session(session))

    def want(self, *queues: str, limit: int = 100, **fields: Any) -> Want:
        """Return a request under a new name."""
        self.number += 1
        name = ClaimName(self.session, self.incarnation, self.number)
        return Want(name=name, queues=queues or (QUEUE,), limit=limit, **fields)

    def claim(self, *queues: str, limit: int = 100, **fields: Any) -> list[Claim]:
        return list(self.ask(self.want(*queues, limit=limit, **fields)).claims)

    def claim_one(self, *queues: str, **fields: Any) -> Claim:
        """Claim exactly one job; it is an error when there is none."""
        (claim,) = self.claim(*queues, limit=1, **fields)
        return claim

    def claim_suspect(self, *queues: str) -> Claim:
        claim = self.claim_one(*queues, suspects=True)
        assert claim.suspect, f"{claim.message.id} was given for a suspect and is none"
        return claim

    def ask(self, want: Want, outcomes: Sequence[Outcome] = ()) -> Exchanged:
        return self.broker.exchange(outcomes, want)

    def settle(self, claim: Claim, kind: Kind = Kind.SUCCEEDED, **fields: Any) -> bool:
        """Settle one claim; False where the fence was stale."""
        return not self.broker.exchange([make_outcome(claim, kind, **fields)], None).stale

    def settle_all(self, claims: Sequence[Claim], kind: Kind = Kind.SUCCEEDED, **fields: Any) -> tuple[str, ...]:
        """Settle several in one step; return the stale ids."""
        return self.broker.exchange([make_outcome(claim, kind, **fields) for claim in claims], None).stale


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.message.id for claim in claims]
