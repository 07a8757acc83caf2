"""The handle on a job that has run at the call: the same faces as an AsyncResult, and no store behind it."""

from __future__ import annotations

from typing import TypeVar

from django_jobs.client.result import AsyncResult
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.exceptions import JobFailed, ResultError
from django_jobs.execution.eager import EagerRun
from django_jobs.ports.broker import CancelAnswer

R_co = TypeVar("R_co", covariant=True)


class EagerResult(AsyncResult[R_co]):
    """What `apply` returns. Values are as a stored result would give them; errors have the original as `__cause__`."""

    __slots__ = ("error", "stored")

    def __init__(self, run: EagerRun) -> None:
        super().__init__(run.message.id)
        self.error = run.error
        """The exception itself; None for a success."""
        self.stored = _stored(run)
        """What a result store would have kept."""

    def cancel(self, *, terminate: bool = False) -> CancelAnswer:
        """Answer that it is too late."""
        return CancelAnswer.TOO_LATE

    revoke = cancel

    def retry(self) -> None:
        """Refuse: a job that ran at the call was never enqueued.

        Raises:
            ResultError: always.
        """
        raise ResultError(f"Job {self.id} ran at the call, so that there is none to run again. Call apply once more.")

    @property
    def progress(self) -> None:
        """Nothing: a job that ran at the call had nobody to tell."""
        return None

    def forget(self) -> bool:
        """Answer that nothing was stored."""
        return False

    def _value(self, stored: StoredResult, *, propagate: bool) -> R_co:
        try:
            return super()._value(stored, propagate=propagate)
        except JobFailed as failure:
            raise failure from self.error
        except Exception as announced:
            if self.error is not None and type(announced) is type(self.error):
                raise self.error from None
            raise

    def _stored(self) -> StoredResult | None:
        return self.stored

    def _look(self) -> tuple[StoredResult | None, JobView | None]:
        return self.stored, None


def _stored(run: EagerRun) -> StoredResult:
    message, outcome, error = run.message, run.outcome, run.outcome.error
    return StoredResult(
        id=message.id,
        task=message.task,
        queue=message.queue,
        status=run.state,
        body=message.body,
        priority=message.priority,
        id_given=message.id_given,
        result=outcome.result,
        error_class=error.error_class if error else "",
        error_message=error.message if error else "",
        traceback=error.traceback if error else "",
        attempts=run.attempts,
        attempt=outcome.attempt,
        failures=run.failures,
        started_us=outcome.started_us,
        finished_us=outcome.finished_us,
        worker=outcome.worker,
    )
