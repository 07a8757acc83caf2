"""The signals about jobs whose process died: sent by the keeper, from what the broker knew of them before."""

from __future__ import annotations

from typing import Final

from django.db import connections
from django.dispatch import Signal

from django_jobs.core.claim import Claim
from django_jobs.core.message import Message
from django_jobs.core.outcome import JobView, Kind, Outcome
from django_jobs.signals import (
    job_cancelled,
    job_crashed,
    job_failed,
    job_quarantined,
    job_released,
    job_retried,
)

ALL: Final = (job_cancelled, job_crashed, job_failed, job_quarantined, job_released, job_retried)


def anybody_listens() -> bool:
    """Say whether any of these signals has a receiver: otherwise nothing need be asked about the dead."""
    return any(signal.receivers for signal in ALL)


def send(view: JobView, outcome: Outcome) -> None:
    """Send what follows from an outcome that was stored for the job that `view` shows as it was before."""
    signal = _signal(view, outcome)
    if signal is None or not signal.receivers:
        return
    claim = Claim(
        message=Message(id=view.id, task=view.task, queue=view.queue, body=view.body, priority=view.priority),
        name=outcome.name,
        attempt=outcome.attempt,
        failures=view.failures,
        crashes=view.crashes,
        suspect=view.suspect,
        enqueued_us=view.enqueued_us,
        attempts=view.attempts,
    )
    signal.send_robust(sender=view.task, claim=claim, outcome=outcome)
    connections.close_all()  # a receiver's own: the keeper has none of the project's


def _signal(view: JobView, outcome: Outcome) -> Signal | None:
    match outcome.kind:
        case Kind.FAILED:
            return job_failed
        case Kind.CRASHED if (outcome.charged or view.suspect) and view.crashes + 1 >= outcome.max_crashes:
            return job_quarantined
    if outcome.record is None:
        return None  # it had not started
    if view.cancel_requested:
        return job_cancelled
    return {Kind.CRASHED: job_crashed, Kind.RETRYING: job_retried, Kind.RELEASED: job_released}.get(outcome.kind)
