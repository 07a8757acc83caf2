"""Run a task here and now, through the serializer and the executor, as `Task.apply` does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from django_jobs.core.attempts import append
from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message, encode_body, new_id
from django_jobs.core.outcome import FINAL, Kind, Outcome
from django_jobs.core.policy import Policy
from django_jobs.core.serializer import to_plain
from django_jobs.core.spec import TaskSpec
from django_jobs.core.states import State
from django_jobs.execution.around import around_jobs
from django_jobs.execution.atomic import AtomicAtTheCall
from django_jobs.execution.executor import Executor
from django_jobs.execution.plan import Plan, Plans

MAX_EAGER_RUNS: Final = 100
"""A job that asks for retries without end stops here: nobody waits between the runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerRun:
    """What an eager run came to; retries ran at once, one after the other."""

    message: Message
    outcome: Outcome
    state: State
    value: Any
    """What the function returned, as it was; None unless it succeeded."""
    error: BaseException | None
    """The error itself; None for a success."""
    failures: int
    """Runs that failed before the last one."""
    attempts: str
    """JSON list of all that failed (see `core.attempts`)."""


def run_eagerly(
    spec: TaskSpec,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    policy: Policy,
    job_id: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
    options: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    root_id: str | None = None,
    parent_id: str | None = None,
) -> EagerRun:
    """Run one job of `spec` in this thread, with its arguments taken through the serializer; touches no store.

    `options` are the call's overrides of the task's options. A retry runs at once instead of after its delay.

    Raises:
        SerializationError: an argument cannot be carried as JSON.
    """
    defaults = spec.options_over(policy.task_defaults)
    message = Message(
        id=job_id or new_id(),
        task=spec.name,
        queue=queue or defaults.queue or policy.default_queue,
        priority=defaults.priority if priority is None else priority,
        body=encode_body(
            [to_plain(value, f"args[{index}]") for index, value in enumerate(args)],
            {name: to_plain(value, f"kwargs.{name}") for name, value in (kwargs or {}).items()},
            options=options,
            headers=headers,
            root_id=root_id,
            parent_id=parent_id,
        ),
    )
    return _run_to_its_end(spec, message, policy)


def _run_to_its_end(spec: TaskSpec, message: Message, policy: Policy) -> EagerRun:
    executor = Executor(
        Plans(lambda _: spec, policy.task_defaults),
        worker="eager",
        keeps_results=True,
        max_result_bytes=policy.max_result_bytes,
        random=Random(),
        is_eager=True,
        around=around_jobs(policy),
        atomic_runs=AtomicAtTheCall(policy.database),
    )
    plan = Plan(spec, spec.options_over(policy.task_defaults))
    claim = Claim(message=message, name=ClaimName("eager", 0, 0), attempt=1, enqueued_us=time.time_ns() // 1000)
    outcome = _run_once(executor, claim, plan)
    while outcome.kind in {Kind.RETRYING, Kind.SNOOZED} and claim.attempt < MAX_EAGER_RUNS:
        claim = msgspec.structs.replace(
            claim,
            attempt=claim.attempt + 1,
            failures=claim.failures + (outcome.kind is Kind.RETRYING),
            attempts=claim.attempts if outcome.record is None else append(claim.attempts, outcome.record),
        )
        outcome = _run_once(executor, claim, plan)
    ok = outcome.kind is Kind.SUCCEEDED
    return EagerRun(
        message=message,
        outcome=outcome,
        state=FINAL.get(outcome.kind, State.FAILED),
        value=executor.last_value if ok else None,
        error=None if ok else executor.last_error,
        failures=claim.failures,
        attempts=claim.attempts if outcome.record is None else append(claim.attempts, outcome.record),
    )


def _run_once(executor: Executor, claim: Claim, plan: Plan) -> Outcome:
    """Run in this thread; a coroutine job under a running loop gets a thread, since it cannot wait for itself."""
    if not (plan.is_async and _inside_a_loop()):
        return _run_and_follow_up(executor, claim, plan)
    outcomes: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(_run_and_follow_up(executor, claim, plan)), name="django_jobs-eager"
    )
    thread.start()
    thread.join()
    return outcomes[0]


def _run_and_follow_up(executor: Executor, claim: Claim, plan: Plan) -> Outcome:
    outcome = executor.run(claim, plan)
    executor.surroundings.follow_up(plan, outcome)
    return outcome


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
