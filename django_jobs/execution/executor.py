"""Run one claimed job and say what it came to: Claim -> Outcome. The only place that catches BaseException."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from asgiref.sync import async_to_sync

from django_jobs.core.attempts import changed_call, elapsed_seconds
from django_jobs.core.claim import Claim
from django_jobs.core.message import Body, decode_body
from django_jobs.core.options import TaskOptions
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.retry import RetryDecision, decide
from django_jobs.core.serializer import TAG, decode_call, encode_call, encode_unserializable, encode_value, from_plain
from django_jobs.exceptions import (
    Ignore,
    InvalidArguments,
    JobCancelled,
    JobsError,
    MaxRetriesExceededError,
    PayloadTooLarge,
    Reject,
    Retry,
    SerializationError,
    Snooze,
)
from django_jobs.execution import hygiene
from django_jobs.execution.around import NOTHING, Around
from django_jobs.execution.atomic import run_atomically
from django_jobs.execution.bound import BoundTask
from django_jobs.execution.call import Call
from django_jobs.execution.carry import HEADER
from django_jobs.execution.context import Request, reset_current, set_current
from django_jobs.execution.errors import attempt_record, class_name, describe
from django_jobs.execution.limits import Cancel, Limits
from django_jobs.execution.plan import Plan, Plans, is_plain
from django_jobs.execution.surroundings import Surroundings
from django_jobs.ports.atomic import AtomicRuns, AtomicUndone
from django_jobs.signals import job_started

logger = logging.getLogger("django_jobs.worker")

STEERING: Final = (Retry, Snooze, Ignore, Reject)
"""What a job may raise, or return, to say what becomes of it."""
_TAG_TEXT = f'"{TAG}"'


class Executor:
    """Runs jobs in the thread that asks; holds no state of a single job, so that threads may share one."""

    def __init__(
        self,
        plans: Plans,
        *,
        worker: str,
        keeps_results: bool,
        max_result_bytes: int,
        random: Random,
        is_eager: bool = False,
        tidies: bool = True,
        limits: Limits | None = None,
        around: Around = NOTHING,
        atomic_runs: AtomicRuns | None = None,
    ) -> None:
        self.plans = plans
        self._worker = worker
        self._keeps_results = keeps_results
        self._max_result_bytes = max_result_bytes
        self._random = random
        self._is_eager = is_eager
        # An eager run is inside the caller's request, and a test may have its connections locked.
        self._tidies = tidies and not is_eager
        self.surroundings = Surroundings(limits, around)
        self.limits = limits
        self._atomic_runs = atomic_runs
        self.last_value: Any = None
        """What the last job returned, kept in eager runs only."""
        self.last_error: BaseException | None = None

    def refuse(self, claim: Claim, plan: Plan | None) -> Outcome | None:
        """Return the outcome of a job that must not run (expired, or of a task that nobody here knows), else None."""
        if claim.expired:
            return self._unrun(claim, Kind.EXPIRED)
        return self._unrun(claim, Kind.UNKNOWN_TASK) if plan is None else None

    def run(self, claim: Claim, plan: Plan, place: int = 0) -> Outcome:
        """Run a job to its end in this thread; a coroutine function runs in a loop of its own.

        `place` is where the job stands in the table of its process, for the limits of time.

        Raises:
            KeyboardInterrupt: the only thing that a job can raise past the worker.
        """
        started_us = time.time_ns() // 1000
        inside = hygiene.before_job() if self._tidies else None
        try:
            call = self._call(claim, plan)
            if job_started.receivers:
                job_started.send_robust(sender=claim.message.task, claim=claim)
            token = set_current(call.request)
            try:
                function = async_to_sync(plan.function) if plan.is_async else plan.function
                if call.is_plain:
                    value = function(*call.args, **call.kwargs)
                elif call.options.atomic:
                    return self._run_atomically(claim, call, plan, place, started_us)
                else:
                    value = self.surroundings.run(call, plan, function, place)
            finally:
                reset_current(token)
            if isinstance(value, STEERING):
                raise value
            return self._succeeded(claim, call.options, value, started_us)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  whatever a job raises is its outcome
            return self._failed(claim, plan, error, started_us, place)
        finally:
            if inside is not None:
                hygiene.after_job(inside, claim)

    def _run_atomically(self, claim: Claim, call: Call, plan: Plan, place: int, started_us: int) -> Outcome:
        def work() -> Outcome:
            value = self.surroundings.run(call, plan, plan.function, place)
            if isinstance(value, STEERING):
                raise value
            return self._succeeded(claim, call.options, value, started_us)

        return run_atomically(self._atomic_runs, plan.spec, work)

    async def run_async(self, claim: Claim, plan: Plan, place: int = 0) -> Outcome:
        """Run a coroutine job to its end on the running loop.

        Raises:
            CancelledError: the worker has cancelled it (a job that raises CancelledError by itself has failed).
        """
        started_us = time.time_ns() // 1000
        try:
            call = self._call(claim, plan)
            if job_started.receivers:
                await job_started.asend_robust(sender=claim.message.task, claim=claim)
            set_current(call.request)  # the asyncio task has a context of its own: nothing to reset
            if call.is_plain:
                value = await plan.function(*call.args, **call.kwargs)
            else:
                value = await self.surroundings.run_async(call, plan, plan.function, place)
            if isinstance(value, STEERING):
                raise value
            return self._succeeded(claim, call.options, value, started_us)
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return self._failed(claim, plan, error, started_us, place)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  whatever a job raises is its outcome
            return self._failed(claim, plan, error, started_us, place)

    def _call(self, claim: Claim, plan: Plan) -> Call:
        message = claim.message
        body = decode_body(message.body)
        args, kwargs = body.args, body.kwargs
        if claim.attempts and (changed := changed_call(claim.attempts)):
            args, kwargs = decode_call(changed)
        elif _TAG_TEXT in message.body:
            args = tuple(from_plain(list(args)))
            kwargs = {name: from_plain(value) for name, value in kwargs.items()}
        options, plain = plan.options, plan.is_plain and self.surroundings.is_empty
        if body.options:
            options = plan.with_overrides(body.options)
            plain = plain and is_plain(options)
        carried = body.headers.get(HEADER) if body.headers else None
        request = self._request(claim, body, args, kwargs)
        if plan.bind:
            args = (BoundTask(plan.spec, options, request), *args)
        return Call(args, kwargs, options, request, carried, plain and not carried)

    def _request(self, claim: Claim, body: Body, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        message = claim.message
        return Request(
            id=message.id,
            task=message.task,
            args=args,
            kwargs=kwargs,
            retries=claim.failures,
            crashes=claim.crashes,
            attempt=claim.attempt,
            queue=message.queue,
            priority=message.priority,
            eta=None if message.eta_us is None else _instant(message.eta_us),
            expires=None if message.expires_us is None else _instant(message.expires_us),
            headers=_headers(body.headers) if body.headers else body.headers,
            options=body.options,
            root_id=body.root_id or message.id,
            parent_id=body.parent_id,
            worker=self._worker,
            is_eager=self._is_eager,
        )

    def _succeeded(self, claim: Claim, options: TaskOptions, value: Any, started_us: int) -> Outcome:
        keep = self._keeps_results and not options.ignore_result
        result = ""
        if keep and value is not None:
            result = self._encode(claim, value)
        if self._is_eager:
            self.last_value = value
        return Outcome(
            id=claim.message.id,
            name=claim.name,
            attempt=claim.attempt,
            kind=Kind.SUCCEEDED,
            result=result,
            started_us=started_us,
            finished_us=time.time_ns() // 1000,
            worker=self._worker,
            keep=keep,
        )

    def _encode(self, claim: Claim, value: Any) -> str:
        try:
            text = encode_value(value)
        except SerializationError as error:
            reason = str(error)
        else:
            size = len(text) if text.isascii() else len(text.encode())
            if size <= self._max_result_bytes:
                return text
            reason = f"the result is {size} bytes of JSON; MAX_RESULT_BYTES is {self._max_result_bytes}."
        logger.warning("%s %s succeeded, but its result was not kept: %s", claim.message.task, claim.message.id, reason)
        return encode_unserializable(reason, value)

    def _failed(self, claim: Claim, plan: Plan, error: BaseException, started_us: int, place: int) -> Outcome:
        """Return what a job came to that was left by an exception: most often a failure."""
        if isinstance(error, AtomicUndone):
            return self._undone(claim, error, started_us)
        if isinstance(error, Ignore):
            return self._succeeded(claim, self._options_of(claim, plan), None, started_us)
        if self.limits is not None and _ends_cancelled(self.limits.cancel_of(place), error):
            return self.cancelled(claim, error, started_us)
        if isinstance(error, Snooze):
            return self._snoozed(claim, error.countdown, started_us)
        if isinstance(error, Reject) and error.requeue:
            return self._snoozed(claim, 0.0, started_us)
        call = ""
        if isinstance(error, Retry) and (error.args_again is not None or error.kwargs_again is not None):
            try:
                call = self._changed_call(claim, plan, error)
            except JobsError as problem:
                error = problem
        return self._errored(claim, plan, error, started_us, call)

    def _errored(self, claim: Claim, plan: Plan, error: BaseException, started_us: int, call: str) -> Outcome:
        finished_us = time.time_ns() // 1000
        options = self._options_of(claim, plan)
        elapsed = (
            elapsed_seconds(claim.attempts, failures=claim.failures, started_us=started_us, now_us=finished_us)
            if options.retry_for is not None
            else 0.0
        )
        decision = decide(options, error=error, failures=claim.failures, random=self._random, elapsed_seconds=elapsed)
        shown = _shown(error, decision, failures=claim.failures)
        if self._is_eager:
            self.last_error = shown
        if plan.hooks is not None:
            self.surroundings.failed(claim.message.id, shown)
        info = describe(shown)
        return Outcome(
            id=claim.message.id,
            name=claim.name,
            attempt=claim.attempt,
            kind=Kind.RETRYING if decision.again else Kind.FAILED,
            error=info,
            record=attempt_record(claim, "failure", info, self._worker, started_us, finished_us, call),
            started_us=started_us,
            finished_us=finished_us,
            worker=self._worker,
            delay_seconds=decision.delay_seconds,
        )

    def _snoozed(self, claim: Claim, seconds: float, started_us: int) -> Outcome:
        return Outcome(
            id=claim.message.id,
            name=claim.name,
            attempt=claim.attempt,
            kind=Kind.SNOOZED,
            started_us=started_us,
            finished_us=time.time_ns() // 1000,
            worker=self._worker,
            delay_seconds=seconds,
        )

    def _undone(self, claim: Claim, error: AtomicUndone, started_us: int) -> Outcome:
        """Return the release of an atomic job of which nothing is stored: by the fence, so that a commit decides."""
        return self._cut_short(claim, Kind.RELEASED, "interrupted", error, started_us)

    def cancelled(self, claim: Claim, error: BaseException, started_us: int) -> Outcome:
        """Return the end of a run that `error` has left because the job was cancelled meanwhile."""
        return self._cut_short(claim, Kind.CANCELLED, "cancelled", error, started_us)

    def _cut_short(self, claim: Claim, kind: Kind, cause: str, error: BaseException, started_us: int) -> Outcome:
        finished_us = time.time_ns() // 1000
        return Outcome(
            id=claim.message.id,
            name=claim.name,
            attempt=claim.attempt,
            kind=kind,
            record=attempt_record(claim, cause, describe(error), self._worker, started_us, finished_us),
            started_us=started_us,
            finished_us=finished_us,
            worker=self._worker,
        )

    def _changed_call(self, claim: Claim, plan: Plan, retry: Retry) -> str:
        """Return the arguments of the runs that follow, encoded, as a `Retry` has changed them.

        Raises:
            InvalidArguments, SerializationError: they do not fit the function, or JSON cannot carry them.
        """
        request = self._call(claim, plan).request
        args = request.args if retry.args_again is None else tuple(retry.args_again)
        kwargs = request.kwargs if retry.kwargs_again is None else retry.kwargs_again
        try:
            plan.spec.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(
                f"retry(): {plan.spec.name}{plan.spec.signature} cannot be called with the new arguments: {error}."
            ) from None
        text = encode_call(args, kwargs)
        if len(text) > self._max_result_bytes:
            raise PayloadTooLarge(
                f"retry() was given {len(text):,} bytes of arguments; MAX_RESULT_BYTES, which bounds what a job leaves "
                f"behind, is {self._max_result_bytes:,}. Store the data and pass its primary key."
            )
        return text

    def _options_of(self, claim: Claim, plan: Plan) -> TaskOptions:
        try:
            return plan.options_of(claim.message.body)
        except JobsError:  # the error that is being recorded is this one, or hides behind it
            return plan.options

    def _unrun(self, claim: Claim, kind: Kind) -> Outcome:
        return Outcome(
            id=claim.message.id,
            name=claim.name,
            attempt=claim.attempt,
            kind=kind,
            finished_us=time.time_ns() // 1000,
            worker=self._worker,
        )


def _ends_cancelled(asked: Cancel, error: BaseException) -> bool:
    """Say whether a run that `error` has left was cancelled: made to end, or ended by itself because it was asked."""
    return asked is Cancel.TERMINATED or (asked is Cancel.REQUESTED and isinstance(error, JobCancelled))


def is_expected(plan: Plan | None, error_class: str) -> bool:
    """Say whether a failure of this class is one that the task announces with `throws`."""
    return plan is not None and any(class_name(kind) == error_class for kind in plan.options.throws)


def _shown(error: BaseException, decision: RetryDecision, *, failures: int) -> BaseException:
    """Return what is recorded: behind a `Retry` the error that caused it."""
    if not isinstance(error, Retry):
        return error
    if error.error is not None:
        return error.error
    if not decision.exhausted:
        return error.__context__ or error
    why = "its time for retries (retry_for) is over" if decision.too_late else "no retries are left"
    gone = MaxRetriesExceededError(f"The job asked for another retry after {failures} failures; {why}.")
    gone.__cause__ = error.__context__
    return gone.with_traceback(error.__traceback__)


def _headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: from_plain(value) for name, value in headers.items() if name != HEADER}


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
