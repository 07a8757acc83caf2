"""The caller's handle on one job: where it stands, what it came to, and the verbs on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

from asgiref.sync import sync_to_async

from django_jobs.connections import connections
from django_jobs.core import attempts as attempt_list
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.bounds import bounds_of
from django_jobs.core.message import ID_PATTERN
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.progress import Progress, decode_progress
from django_jobs.core.serializer import decode_value
from django_jobs.core.states import CELERY_NAMES, ENDED, RETRIABLE, State
from django_jobs.exceptions import (
    JobCancelled,
    JobExpired,
    JobFailed,
    MaxRetriesExceededError,
    ResultError,
    ResultNotStored,
    ResultTimeout,
)
from django_jobs.execution.context import current_job
from django_jobs.execution.errors import class_name
from django_jobs.ports.broker import CancelAnswer
from django_jobs.registry import registry
from django_jobs.signals import job_cancelled, job_requeued

R_co = TypeVar("R_co", covariant=True)

FIRST_WAIT_SECONDS: Final = 0.01
LONGEST_WAIT_SECONDS: Final = 0.5
_EXHAUSTED: Final = f"{MaxRetriesExceededError.__module__}.{MaxRetriesExceededError.__qualname__}"


class AsyncResult(Generic[R_co]):
    """A job by its id. Nothing is cached: each property asks the stores again, in at most three short queries."""

    __slots__ = ("id",)

    def __init__(self, job_id: str | UUID, /) -> None:
        self.id = str(job_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, AsyncResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def task_id(self) -> str:
        """The id, by Celery's name."""
        return self.id

    # -- where it stands ---------------------------------------------------------------------------------------

    @property
    def status(self) -> State | None:
        """The job's state; None where neither the result store nor the broker knows the id."""
        stored, view = self._look()
        if stored is not None:
            return stored.status
        return None if view is None else view.state

    @property
    def state(self) -> str:
        """Celery's name of the state; PENDING for an unknown id too, and a running job's own where it has told one."""
        status = self.status
        if status is State.RUNNING and (progress := self.progress) is not None and progress.state:
            return progress.state
        return "PENDING" if status is None else CELERY_NAMES[status]

    def ready(self) -> bool:
        """Say whether the job has ended."""
        return self.status in ENDED

    def successful(self) -> bool:
        """Say whether it has ended and succeeded."""
        return self.status is State.SUCCEEDED

    def failed(self) -> bool:
        """Say whether it has failed, or was quarantined for killing its process."""
        return self.status in {State.FAILED, State.QUARANTINED}

    @property
    def attempts(self) -> list[AttemptRecord]:
        """The attempts that failed or crashed so far, oldest first, 20 at most."""
        stored, view = self._look()
        holder = stored or view
        return attempt_list.load(holder.attempts) if holder else []

    @property
    def progress(self) -> Progress | None:
        """What the job has said last with `update_progress` or `update_state`, kept for a day; None for nothing."""
        if not ID_PATTERN.match(self.id):
            return None
        text = connections.broker.progress_of([self.id]).get(self.id)
        return None if text is None else decode_progress(text)

    @property
    def logs(self) -> list[str]:
        """The newest lines that a job of a task with `keep_logs` has logged in its last run, kept for a day."""
        progress = self.progress
        return [] if progress is None else list(progress.log)

    @property
    def info(self) -> Any:
        """The result or error of an ended job, the `meta` that a running one has told (Celery's name)."""
        if self.ready():
            return self.result
        return None if (progress := self.progress) is None else progress.meta

    @property
    def traceback(self) -> str | None:
        """The traceback of the error that the job ended with, as text; None where there is none."""
        stored = self._stored()
        return (stored.traceback or None) if stored else None

    @property
    def result(self) -> R_co | Exception | None:
        """The returned value, the error that `get` would raise, or None while the job has not ended."""
        stored = self._stored()
        if stored is None:
            return None
        return error_of(stored) or cast(R_co, decode_value(stored.result))

    # -- waiting for it ----------------------------------------------------------------------------------------

    def get(self, timeout: float | None = None, *, propagate: bool = True) -> R_co:
        """Wait until the job has ended and return what its function returned.

        `timeout` is in seconds, None waits for ever. Values come back as JSON carries them: a tuple as a list.
        With `propagate=False` the error is returned instead of raised.

        Raises:
            JobFailed: the job failed; `error_class`, the message and `traceback` say how, as text.
            Exception: it failed with an error of a class that the task names in `throws`: one of that class.
            JobCancelled, JobExpired: it never ran to an end.
            ResultTimeout: it has not ended in time. The job goes on.
            ResultNotStored: nobody knows the id (any more).
            ResultError: called inside a running job without a timeout, for a job that has not ended.
        """
        for wait_seconds in self._waits(timeout):
            if (stored := self._ended()) is not None:
                return self._value(stored, propagate=propagate)
            self._refuse_endless_wait(timeout)
            connections.results.wait([self.id], wait_seconds)
        raise self._late(timeout)

    async def aget(self, timeout: float | None = None, *, propagate: bool = True) -> R_co:  # noqa: ASYNC109  as `get`
        """Do what `get` does without holding the event loop."""
        for wait_seconds in self._waits(timeout):
            if (stored := await sync_to_async(self._ended)()) is not None:
                return self._value(stored, propagate=propagate)
            self._refuse_endless_wait(timeout)
            await asyncio.sleep(wait_seconds)
        raise self._late(timeout)

    def _waits(self, timeout: float | None) -> Iterator[float]:
        """Yield how long to wait after each look; the last look comes at the deadline."""
        deadline = None if timeout is None else time.monotonic() + timeout
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            yield wait_seconds if left is None else max(0.0, min(wait_seconds, left))
            if left is not None and left <= 0:
                return
            wait_seconds = min(LONGEST_WAIT_SECONDS, wait_seconds * 1.5)

    def _ended(self) -> StoredResult | None:
        stored, view = self._look()
        if stored is None and view is None:
            raise ResultNotStored(
                f"Neither the broker nor the result store knows the job {self.id}. Either the id is wrong, or the "
                "transaction that enqueued it has not committed or was rolled back, or its success was not kept "
                "(ignore_result, RESULT_STORE = None), or its result was forgotten or pruned."
            )
        return stored

    def _refuse_endless_wait(self, timeout: float | None) -> None:
        job = current_job()
        if timeout is None and job is not None and not job.is_eager:
            raise ResultError(
                f"Job {job.id} waits for job {self.id} without a timeout. It would keep its slot until then, and where "
                "all slots wait nothing runs any more. Pass timeout=, or let the other job enqueue what follows."
            )

    def _late(self, timeout: float | None) -> ResultTimeout:
        return ResultTimeout(
            f"Job {self.id} has not ended within {timeout} s; it goes on. It is {self.status or 'gone'}."
        )

    def _value(self, stored: StoredResult, *, propagate: bool) -> R_co:
        error = error_of(stored)
        if error is None:
            return cast(R_co, decode_value(stored.result))
        if propagate:
            raise error
        return cast(R_co, error)

    # -- verbs -------------------------------------------------------------------------------------------------

    def cancel(self, *, terminate: bool = False) -> CancelAnswer:
        """Cancel the job: it never starts if no worker has claimed it, otherwise it is flagged.

        Atomic: a job whose cancel was answered `cancelled` does not start. A flagged one ends CANCELLED unless its
        running attempt finishes. It can ask `current_job().is_cancelled`; with `terminate` its worker raises
        `JobCancelled` in it, and kills its process where it has not ended CANCEL_GRACE_SECONDS later.
        """
        if not ID_PATTERN.match(self.id):
            return CancelAnswer.UNKNOWN
        broker = connections.broker
        # A cancel may be repeated and answers the same: only the one that still saw the job alive is signalled.
        view = broker.state_of([self.id]).get(self.id) if job_cancelled.receivers else None
        answer = broker.cancel(self.id, terminate=terminate)
        if view is not None and answer is CancelAnswer.CANCELLED:
            job_cancelled.send_robust(sender=view.task, job_id=self.id)
        return answer

    revoke = cancel

    def retry(self) -> None:
        """Start an ended job again: the same id, message and queue, failures and crashes from 0.

        Raises:
            ResultError: it has not ended, or it succeeded, or somebody else was quicker.
            ResultNotStored: nobody knows the id (any more).
        """
        stored = self._ended()
        if stored is None:
            raise ResultError(f"Job {self.id} is {self.status}: only an ended job can be retried. Cancel it first.")
        start_again(stored)

    def forget(self) -> bool:
        """Drop what the result store keeps of the job; say whether there was anything. A live job is not touched."""
        return bool(ID_PATTERN.match(self.id)) and connections.results.forget([self.id]) > 0

    # -- looking -----------------------------------------------------------------------------------------------

    def _stored(self) -> StoredResult | None:
        # An id may come from a URL: what no job can be called is not taken to a store, which may refuse its characters.
        if not ID_PATTERN.match(self.id):
            return None
        return connections.results.load_many([self.id]).get(self.id)

    def _look(self) -> tuple[StoredResult | None, JobView | None]:
        """Ask the result store, the broker, and the result store again: the job may end between the first two."""
        if (stored := self._stored()) is not None or not ID_PATTERN.match(self.id):
            return stored, None
        if (view := connections.broker.state_of([self.id]).get(self.id)) is not None:
            return None, view
        return self._stored(), None


class IgnoredResult(AsyncResult[R_co]):
    """The handle on a job whose success leaves nothing (`ignore_result`): `get` does not wait for it."""

    __slots__ = ()

    def get(self, timeout: float | None = None, *, propagate: bool = True) -> R_co:
        """Return None at once, as in Celery. Whether the job failed is known to `status` and `result`."""
        return cast(R_co, None)

    async def aget(self, timeout: float | None = None, *, propagate: bool = True) -> R_co:  # noqa: ASYNC109  as `get`
        """Do what `get` does."""
        return cast(R_co, None)


def start_again(stored: StoredResult) -> None:
    """Start an ended job again as `AsyncResult.retry` does, only if it still is what `stored` says.

    Raises:
        ResultError: it succeeded, somebody else was quicker, or another job holds its unique key.
    """
    if stored.status not in RETRIABLE:
        raise ResultError(f"Job {stored.id} has {stored.status}. Enqueue its task {stored.task} again instead.")
    if not connections.broker.requeue(stored):
        status = AsyncResult[object](stored.id).status
        bounds = bounds_of(stored.body)
        if status is stored.status and bounds is not None and bounds.unique is not None:
            raise ResultError(f"Job {stored.id} was not started again: another job holds its unique key.")
        raise ResultError(f"Job {stored.id} was {stored.status} and is {status} now: somebody else was quicker.")
    if job_requeued.receivers:
        job_requeued.send_robust(sender=stored.task, job_id=stored.id)


def error_of(stored: StoredResult) -> Exception | None:
    """Return the error that stands for the end of a job, None for a success."""
    error = _told(stored)
    if isinstance(error, JobFailed) and (announced := _announced(stored)) is not None:
        announced.__cause__ = error
        return announced
    return error


def _announced(stored: StoredResult) -> Exception | None:
    """Return the original error again where the task's own code, here, names its class in `throws`.

    What is stored is only compared with names that the code has: nothing is looked up or imported by it.
    """
    spec = registry.get(stored.task)
    if spec is None:
        return None
    for kind in spec.options_over(connections.policy.task_defaults).throws:
        if issubclass(kind, Exception) and class_name(kind) == stored.error_class:
            try:
                return kind(stored.error_message)
            except Exception:  # noqa: BLE001  a class that cannot be made of a text; JobFailed says what it was
                return None
    return None


def _told(stored: StoredResult) -> ResultError | None:
    name = f"Job {stored.id} of {stored.task}"
    match stored.status:
        case State.SUCCEEDED:
            return None
        case State.CANCELLED:
            return JobCancelled(f"{name} was cancelled.")
        case State.EXPIRED:
            return JobExpired(f"{name} expired before it was started.")
    what = "was quarantined" if stored.status is State.QUARANTINED else "failed"
    kind = MaxRetriesExceededError if stored.error_class == _EXHAUSTED else JobFailed
    told = ": ".join(text for text in (f"{name} {what}", stored.error_class, stored.error_message) if text)
    return kind(
        told,
        error_class=stored.error_class,
        traceback=stored.traceback,
    )
