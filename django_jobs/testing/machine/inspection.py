"""Comparing what a broker shows with what the model holds."""

from __future__ import annotations

from collections.abc import Sequence

from django_jobs.core.claim import Claim
from django_jobs.core.outcome import JobView, StoredResult
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.machine.model import BrokerModel, ModelJob


def compare(model: BrokerModel, broker: Broker, results: ResultStore, ids: Sequence[str]) -> list[StoredResult]:
    """Compare every live job, every stored result and every count; return the stored results."""
    views = broker.state_of(ids)
    assert set(views) == set(model.jobs)
    for job_id, view in views.items():
        compare_view(model.jobs[job_id], view, model.now)
    stored = results.load_many(ids)
    ended = {job_id: past for job_id, past in model.ended.items() if past.status is not None}
    assert {job_id: kept.status for job_id, kept in stored.items()} == {
        job_id: past.status for job_id, past in ended.items()
    }
    for job_id, kept in stored.items():
        past = ended[job_id]
        assert past.attempt in {None, kept.attempt}
        past.attempt = kept.attempt
        assert ended[job_id].failures in {None, kept.failures}
    compare_counts(model, broker)
    return list(stored.values())


def compare_view(job: ModelJob, view: JobView, now: int) -> None:
    """Compare one live job. One that has become due may still be shown as waiting for its time."""
    assert (view.failures, view.crashes, view.suspect) == (job.failures, job.crashes, job.suspect)
    assert (bool(view.parked), view.cancel_requested) == (job.parked, job.flagged)
    assert view.body == job.message.body
    if job.claim is not None:
        assert (view.state, view.claim) == (State.RUNNING, job.claim)
        return
    assert view.claim is None
    waits = State.RETRYING if job.attempt else State.SCHEDULED
    if job.parked:
        assert view.state is State.QUEUED
    elif job.at > now:
        assert view.state is waits
    else:
        assert view.state in {State.QUEUED, waits}


def compare_claim(job: ModelJob, claim: Claim, now: int) -> None:
    """Compare one job as a child gets it."""
    sent, got = job.message, claim.message
    assert claim.attempt > job.attempt, "an attempt was given twice"
    assert (got.body, got.task, got.queue) == (sent.body, sent.task, sent.queue)
    assert (got.priority, got.id_given) == (sent.priority, sent.id_given)
    assert (claim.failures, claim.crashes, claim.suspect) == (job.failures, job.crashes, job.suspect)
    assert claim.expired is job.is_expired(now)


def compare_counts(model: BrokerModel, broker: Broker) -> None:
    """Compare the numbers per queue, and which queues have work."""
    shown = {
        stats.queue: {
            "waiting": stats.scheduled + stats.queued + stats.retrying,
            "parked": stats.parked,
            "running": stats.running,
        }
        for stats in broker.stats()
    }
    assert shown == model.queues()
    ready, seemingly_ready = model.ready_queues()
    assert ready <= set(broker.ready_queues()) <= seemingly_ready
    assert {pause.target for pause in broker.paused()} == model.paused
