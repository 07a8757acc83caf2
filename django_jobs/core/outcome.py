"""What one attempt came to, and what is kept of an ended job."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import ClaimName
from django_jobs.core.states import State


class Kind(StrEnum):
    """The ways in which an attempt can leave a slot."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETRYING = "retrying"
    """Failed, and runs again after `delay_seconds`: failures + 1."""
    SNOOZED = "snoozed"
    """Runs again after `delay_seconds` because it asked to; no failure."""
    RELEASED = "released"
    """Given back uncharged: it had not started, or was interrupted by a shutdown."""
    CRASHED = "crashed"
    """Its process died. `charged` counts it against MAX_CRASHES; otherwise it only becomes a suspect."""
    UNKNOWN_TASK = "unknown_task"
    """No such task here: parked under the task's name until a session that knows it starts."""


FINAL: dict[Kind, State] = {
    Kind.SUCCEEDED: State.SUCCEEDED,
    Kind.FAILED: State.FAILED,
    Kind.CANCELLED: State.CANCELLED,
    Kind.EXPIRED: State.EXPIRED,
}
"""The kinds that end a job. A CRASHED one ends as QUARANTINED where the broker counts `max_crashes`."""


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An error as text; nothing is ever imported or rebuilt from it."""

    error_class: str
    """Dotted name of the exception class."""
    message: str = ""
    traceback: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to, with the fence under which it may be written."""

    id: str
    name: ClaimName
    attempt: int
    kind: Kind
    result: str = ""
    """JSON text of the returned value; empty for none."""
    error: ErrorInfo | None = None
    record: AttemptRecord | None = None
    """Appended to the job's attempts, for a failed or crashed one."""
    started_us: int | None = None
    finished_us: int | None = None
    worker: str = ""
    keep: bool = True
    """False drops the row of a success (ignore_result, RESULT_STORE = None); other ends are always kept."""
    delay_seconds: float = 0.0
    charged: bool = False
    max_crashes: int = 0
    """For CRASHED and charged: at so many crashes the job is QUARANTINED."""
    settled: bool = False
    """Stored already, by the transaction of an atomic job: to be reported, and not to be settled."""


class StoredResult(msgspec.Struct, frozen=True, kw_only=True):
    """An ended job as a result store keeps it, whole enough to rebuild its message."""

    id: str
    task: str
    queue: str
    status: State
    body: str
    priority: int = 0
    id_given: bool = False
    result: str = ""
    error_class: str = ""
    error_message: str = ""
    traceback: str = ""
    attempts: str = ""
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    enqueued_us: int = 0
    started_us: int | None = None
    finished_us: int | None = None
    worker: str = ""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A live job as a broker shows it to people: never used to decide anything."""

    id: str
    task: str
    queue: str
    state: State
    body: str
    priority: int = 0
    parked: str = ""
    """Why a waiting job is not in line: `unknown task` or `limit`; empty when it is."""
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    cancel_requested: bool = False
    enqueued_us: int = 0
    due_us: int | None = None
    expires_us: int | None = None
    started_us: int | None = None
    claim: ClaimName | None = None
    attempts: str = ""
    place: str = ""
    """Opaque position for keyset pages: pass the last one as `after`."""
