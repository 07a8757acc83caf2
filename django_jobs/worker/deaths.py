"""What becomes of the jobs of a child that has died: decided from its table, acted on by the keeper."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import msgspec

from django_jobs.core.attempts import AttemptRecord, elapsed_seconds
from django_jobs.core.claim import ClaimName
from django_jobs.core.options import TaskOptions
from django_jobs.core.outcome import ErrorInfo, JobView, Kind, Outcome
from django_jobs.core.retry import decide
from django_jobs.exceptions import JobCancelled, TimeLimitExceeded, WorkerLostError
from django_jobs.execution.errors import class_name
from django_jobs.worker.layout import Death, Flag, Held, HeldJob

LOST = class_name(WorkerLostError)
TIMED_OUT = class_name(TimeLimitExceeded)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadChild:
    """A child that was waited for."""

    session: str
    incarnation: int
    pid: int
    death: Death
    exit_code: int
    """As subprocess has it: the negative signal, or the exit status."""
    memory_bytes: int
    """Resident, as last seen."""
    jobs: Sequence[HeldJob]
    timed_out: bool = False
    """Whether one of its jobs was over its hard limit of time, for which we killed it."""
    terminated: bool = False
    """Whether one of its jobs was cancelled and had to end, for which we may have killed it."""


def outcomes_of(child: DeadChild, *, max_crashes: int, worker: str, now_us: int) -> list[Outcome]:
    """Return an outcome for each job that the child held.

    A crash is charged to the job that ran alone, and to those that were suspects; the others that ran become
    suspects. What waited, or had ended without being settled, goes back; so does all after a kill of our own. What
    had started keeps a record of why it starts again, or fails if it may start only once.
    """
    running = [job for job in child.jobs if job.state is Held.RUNNING]
    outcomes = []
    for job in child.jobs:
        crashed = child.death is Death.CRASHED and job.state is Held.RUNNING
        charged = crashed and (len(running) == 1 or Flag.SUSPECT in job.flags)
        outcomes.append(_outcome(child, job, charged=charged, max_crashes=max_crashes, worker=worker, now_us=now_us))
    return outcomes


def _outcome(child: DeadChild, job: HeldJob, *, charged: bool, max_crashes: int, worker: str, now_us: int) -> Outcome:
    name = ClaimName(child.session, child.incarnation, job.number)
    ran = job.state is Held.RUNNING
    if ran and Flag.TERMINATE in job.flags:
        return _terminated(child, job, worker=worker, now_us=now_us)
    if not job.started_us:
        return Outcome(id=job.id, name=name, attempt=job.attempt, kind=Kind.RELEASED, worker=worker)
    crashed = child.death is Death.CRASHED
    text = how_it_died(child, ran_us=max(0, now_us - job.started_us) if ran else None)
    outcome = cut_short(
        Outcome(id=job.id, name=name, attempt=job.attempt, kind=Kind.RELEASED, worker=worker),
        cause="crash" if crashed else "interrupted",
        message=text if ran else f"{text} The job had ended, but that was not stored yet.",
        at_most_once=Flag.AT_MOST_ONCE in job.flags,
        started_us=job.started_us,
        ended_us=now_us,
    )
    if not (ran and crashed) or outcome.kind is Kind.FAILED:
        return outcome
    return msgspec.structs.replace(
        outcome,
        kind=Kind.CRASHED,
        error=ErrorInfo(error_class=LOST, message=text),
        charged=charged,
        max_crashes=max_crashes,
    )


def _terminated(child: DeadChild, job: HeldJob, *, worker: str, now_us: int) -> Outcome:
    """Return the end of a job that was cancelled and did not end by itself: no failure, and no crash."""
    text = (
        f"The job was cancelled and had not ended: process {child.pid} was killed "
        f"after {max(0, now_us - job.started_us) / 1_000_000:.1f} s of this job."
    )
    return Outcome(
        id=job.id,
        name=ClaimName(child.session, child.incarnation, job.number),
        attempt=job.attempt,
        kind=Kind.CANCELLED,
        record=AttemptRecord(
            attempt=job.attempt,
            cause="cancelled",
            started_us=job.started_us,
            ended_us=now_us,
            worker=worker,
            error_class=class_name(JobCancelled),
            message=text,
        ),
        started_us=job.started_us,
        finished_us=now_us,
        worker=worker,
    )


def timed_out(
    child: DeadChild,
    job: HeldJob,
    *,
    view: JobView | None,
    options: TaskOptions,
    random: Random,
    worker: str,
    now_us: int,
) -> Outcome:
    """Return what a job came to that was killed at its hard limit: a failure, which runs again if its task says so."""
    limit = f" of {options.time_limit:g} s" if options.time_limit is not None else ""
    text = (
        f"The job was over its hard limit{limit}: process {child.pid} was killed "
        f"after {max(0, now_us - job.started_us) / 1_000_000:.1f} s of this job."
    )
    failures, attempts = (0, "") if view is None else (view.failures, view.attempts)
    decision = decide(
        options,
        error=TimeLimitExceeded(text),
        failures=failures,
        random=random,
        elapsed_seconds=elapsed_seconds(attempts, failures=failures, started_us=job.started_us, now_us=now_us),
    )
    return Outcome(
        id=job.id,
        name=ClaimName(child.session, child.incarnation, job.number),
        attempt=job.attempt,
        kind=Kind.RETRYING if decision.again else Kind.FAILED,
        error=ErrorInfo(error_class=TIMED_OUT, message=text),
        record=AttemptRecord(
            attempt=job.attempt,
            cause="time limit",
            started_us=job.started_us,
            ended_us=now_us,
            worker=worker,
            error_class=TIMED_OUT,
            message=text,
        ),
        started_us=job.started_us,
        finished_us=now_us,
        worker=worker,
        delay_seconds=decision.delay_seconds,
    )


def cut_short(
    release: Outcome, *, cause: str, message: str, at_most_once: bool, started_us: int, ended_us: int
) -> Outcome:
    """Return the release of a started job with the record of why it starts again; FAILED if it may start only once."""
    record = AttemptRecord(
        attempt=release.attempt,
        cause=cause,
        started_us=started_us,
        ended_us=ended_us,
        worker=release.worker,
        error_class=LOST,
        message=message,
    )
    return msgspec.structs.replace(
        release,
        kind=Kind.FAILED if at_most_once else Kind.RELEASED,
        error=ErrorInfo(error_class=LOST, message=message) if at_most_once else None,
        record=record,
        started_us=started_us,
        finished_us=ended_us,
    )


def how_it_died(child: DeadChild, *, ran_us: int | None) -> str:
    """Say what ended the process, for people; `ran_us` is how long the job had run, None for one that had ended."""
    after = "" if ran_us is None else f" after {ran_us / 1_000_000:.1f} s of this job"
    if child.timed_out:
        return f"Process {child.pid} was killed{after}, since a job beside it was over its hard limit of time."
    if child.terminated:
        return f"Process {child.pid} was killed{after}, since a job beside it was cancelled and had not ended."
    if child.death is Death.INTERRUPTED:
        return f"The worker stopped and ended process {child.pid}{after}."
    if child.exit_code >= 0:
        return f"Process {child.pid} ended with exit status {child.exit_code}{after}; a job must not end its process."
    memory = f" at {child.memory_bytes / 2**20:.0f} MiB resident" if child.memory_bytes else ""
    text = f"Process {child.pid} was killed by {signal_name(-child.exit_code)}{after}{memory}."
    if child.exit_code == -signal.SIGKILL:
        text += " On Linux this is usually the out-of-memory killer."
    return text


def describe_status(status: int) -> str:
    """Say how a process has ended, from what os.waitpid gave."""
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else signal_name(-code)


def signal_name(number: int) -> str:
    """Return SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def now_us() -> int:
    """Return the wall clock in microseconds, for records that people read."""
    return time.time_ns() // 1000
