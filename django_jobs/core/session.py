"""One life of one worker, as brokers store it and people see it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class SessionState(StrEnum):
    """Where a session is in its life; a dead one stays dead."""

    ALIVE = "alive"
    QUIET = "quiet"
    """It lives, and claims nothing."""
    STOPPING = "stopping"
    DEAD = "dead"


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A session's row. `renewed_us` and `started_us` are the broker's clock, microseconds since 1970."""

    id: str
    worker: str
    """The worker's name: host.pid unless `--name` gave another."""
    host: str
    pid: int
    state: SessionState = SessionState.ALIVE
    started_us: int = 0
    renewed_us: int = 0
    renewals: int = 0
    details: str = "{}"
    """JSON object for people: queues, concurrency, version, what each slot runs, memory."""
