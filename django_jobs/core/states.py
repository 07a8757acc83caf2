"""The states of a job and which may follow which: the only place that says so."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What a job is doing, in our words (DESIGN: users see these in code, admin and commands)."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"


S = State

TRANSITIONS: dict[State, frozenset[State]] = {
    S.SCHEDULED: frozenset({S.QUEUED, S.CANCELLED, S.EXPIRED}),
    S.QUEUED: frozenset({S.RUNNING, S.CANCELLED, S.EXPIRED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.RETRYING, S.QUARANTINED, S.QUEUED}),
    S.RETRYING: frozenset({S.QUEUED, S.CANCELLED, S.EXPIRED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
    S.EXPIRED: frozenset({S.QUEUED}),
    S.QUARANTINED: frozenset({S.QUEUED}),
}
"""From -> to. RUNNING -> QUEUED is a release, a crash or a rescue; an ended job goes back only by an explicit retry."""

LIVE = frozenset({S.SCHEDULED, S.QUEUED, S.RUNNING, S.RETRYING})
ENDED = frozenset(S) - LIVE
RETRIABLE = frozenset({S.FAILED, S.CANCELLED, S.EXPIRED, S.QUARANTINED})
"""Ended states from which an explicit retry may start a job again."""

CELERY_NAMES: dict[State, str] = {
    S.SCHEDULED: "PENDING",
    S.QUEUED: "PENDING",
    S.RUNNING: "STARTED",
    S.RETRYING: "RETRY",
    S.SUCCEEDED: "SUCCESS",
    S.FAILED: "FAILURE",
    S.QUARANTINED: "FAILURE",
    S.CANCELLED: "REVOKED",
    S.EXPIRED: "REVOKED",
}

DJANGO_NAMES: dict[State, str] = {
    S.SCHEDULED: "READY",
    S.QUEUED: "READY",
    S.RETRYING: "READY",
    S.RUNNING: "RUNNING",
    S.SUCCEEDED: "SUCCESSFUL",
    S.FAILED: "FAILED",
    S.QUARANTINED: "FAILED",
    S.CANCELLED: "FAILED",
    S.EXPIRED: "FAILED",
}
"""As `django.tasks.TaskResultStatus` names them."""


def may_follow(before: State, after: State) -> bool:
    """Say whether a job in state `before` may go to `after` in one step."""
    return after in TRANSITIONS[before]
