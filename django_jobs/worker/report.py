"""What is said about ended jobs once their settle was answered: one log line each, and the signals."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.dispatch import Signal

from django_jobs.core.claim import Claim
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.execution.executor import is_expected
from django_jobs.execution.plan import Plan
from django_jobs.signals import (
    job_cancelled,
    job_expired,
    job_failed,
    job_released,
    job_retried,
    job_snoozed,
    job_succeeded,
)

logger = logging.getLogger("django_jobs.worker")

_SIGNALS: Final[dict[Kind, Signal]] = {
    Kind.SUCCEEDED: job_succeeded,
    Kind.FAILED: job_failed,
    Kind.RETRYING: job_retried,
    Kind.SNOOZED: job_snoozed,
    Kind.CANCELLED: job_cancelled,
    Kind.EXPIRED: job_expired,
}
_SILENT: Final = frozenset({Kind.RELEASED, Kind.CRASHED})


class Reporter:
    """Logs and signals for one child."""

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def ended(self, claim: Claim, plan: Plan | None, outcome: Outcome) -> None:
        """Report a job whose outcome has been stored."""
        kind = outcome.kind
        signal = _SIGNALS.get(kind)
        if signal is not None and signal.receivers:
            signal.send_robust(sender=claim.message.task, claim=claim, outcome=outcome)
        if kind in _SILENT:
            if outcome.record is not None and job_released.receivers:
                job_released.send_robust(sender=claim.message.task, claim=claim, outcome=outcome)
            return
        level = _level(plan, outcome)
        if logger.isEnabledFor(level):
            self._log(level, claim, outcome)

    def stale(self, claim: Claim, outcome: Outcome) -> None:
        """Report an outcome that changed nothing, because the job is no longer ours."""
        logger.warning(
            "%s %s: the outcome of attempt %d (%s) was refused; another worker has the job, or it has ended.",
            claim.message.task,
            claim.message.id,
            claim.attempt,
            outcome.kind.value,
            extra=self._fields(claim, outcome) | {"outcome": "stale"},
        )

    def in_doubt(self, claim: Claim, outcome: Outcome) -> None:
        """Report an outcome that was refused when it was sent again: most likely the first one had been stored."""
        logger.info(
            "%s %s %s; its settle was repeated after an answer was lost, and it may have been stored the first time.",
            claim.message.task,
            short(claim.message.id),
            outcome.kind.value,
            extra=self._fields(claim, outcome),
        )

    def _log(self, level: int, claim: Claim, outcome: Outcome) -> None:
        fields = self._fields(claim, outcome)
        text = f"{claim.message.task} {short(claim.message.id)} {fields['outcome']}"
        if outcome.started_us is not None:
            text += f" in {duration(fields['duration_ms'])}"
        runs = claim.failures + claim.crashes + 1
        text += f" (queue {claim.message.queue}{f', run {runs}' if runs > 1 else ''})"
        error = outcome.error
        if error is not None:
            text += f": {error.error_class}: {_first_line(error.message)}"
            if outcome.kind is Kind.RETRYING:
                text += f"; again in {outcome.delay_seconds:.1f} s"
            if level >= logging.ERROR and error.traceback:
                text += f"\n{error.traceback.rstrip()}"
        elif outcome.kind is Kind.SNOOZED:
            text += f"; again in {outcome.delay_seconds:.1f} s"
        elif outcome.kind is Kind.UNKNOWN_TASK:
            text += ": no such task in this worker's code; it waits for a worker that knows it"
        logger.log(level, text, extra=fields)

    def _fields(self, claim: Claim, outcome: Outcome) -> dict[str, Any]:
        started, finished = outcome.started_us, outcome.finished_us
        return {
            "job_id": claim.message.id,
            "task": claim.message.task,
            "queue": claim.message.queue,
            "attempt": claim.attempt,
            "duration_ms": round((finished - started) / 1000, 3) if started and finished else 0.0,
            "wait_ms": round(max(0, (started or finished or 0) - claim.enqueued_us) / 1000, 3),
            "outcome": outcome.kind.value,
            "worker": self._worker,
        }


def short(job_id: str) -> str:
    """Return what tells jobs apart at a glance: the random end of a UUID, or the whole of a short id."""
    return job_id if len(job_id) <= 12 else job_id[-8:]


def duration(milliseconds: float) -> str:
    """Return a duration for people."""
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def _level(plan: Plan | None, outcome: Outcome) -> int:
    match outcome.kind:
        case Kind.FAILED:
            expected = outcome.error is not None and is_expected(plan, outcome.error.error_class)
            return logging.INFO if expected else logging.ERROR
        case Kind.RETRYING | Kind.UNKNOWN_TASK:
            return logging.WARNING
        case _:
            return logging.INFO


def _first_line(text: str) -> str:
    line, _, rest = text.strip().partition("\n")
    return f"{line[:200]} ..." if rest or len(line) > 200 else line
