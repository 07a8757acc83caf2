"""Which limits of time a pool cannot keep: said at the worker's start."""

from __future__ import annotations

from collections.abc import Iterable

from django_jobs.execution.plan import Plan
from django_jobs.worker.options import PoolKind, WorkerOptions
from django_jobs.worker.setup import WorkerSetup

SHOWN = 5


def unkept_limits(setup: WorkerSetup) -> list[str]:
    """Return a warning for each kind of limit that some task asks for and this worker's pool cannot keep."""
    plans = setup.plans()
    known = [plan for name in setup.tasks if (plan := plans.get(name)) is not None]
    warnings = []
    if setup.options.pool is PoolKind.SOLO:
        names = [plan.spec.name for plan in known if plan.options.time_limit is not None]
        if names:
            warnings.append(
                f"--pool solo keeps no hard limits of time, since it has no process that it could kill: {_some(names)}."
            )
    if names := [plan.spec.name for plan in known if not _keeps_soft(plan, setup.options)]:
        warnings.append(
            f"Soft limits of time are not raised in threads, where nothing can interrupt a job safely: {_some(names)}. "
            "Hard limits are kept. Use processes with --threads 1, or coroutine functions."
        )
    if setup.left_to_others:
        warnings.append(
            f"--pool {setup.options.pool.value} has no loop for coroutine functions: {_some(setup.left_to_others)}. "
            "Their jobs are put aside until a worker of another pool starts: give them a queue of their own."
        )
    return warnings


def _keeps_soft(plan: Plan, options: WorkerOptions) -> bool:
    return plan.options.soft_time_limit is None or plan.is_async or options.interrupts_functions


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - SHOWN
    return ", ".join(ordered[:SHOWN]) + (f" and {more} more" if more > 0 else "")
