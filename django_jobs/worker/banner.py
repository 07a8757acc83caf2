"""What a worker says at its start: what it is connected to, and what it runs."""

from __future__ import annotations

import os

from django_jobs.core.policy import Policy
from django_jobs.worker.setup import WorkerSetup


def lines(setup: WorkerSetup, *, settings_module: str, broker: str, list_tasks: bool) -> list[str]:
    """Return the banner, at most 12 lines without the list of tasks."""
    options, policy = setup.options, setup.policy
    text = [
        f"django_jobs {setup.version}, worker {options.name} (pid {os.getpid()})",
        f"  settings   {settings_module}, time zone {policy.time_zone}",
        f"  broker     {broker}",
        f"  results    {_results(policy)}",
        f"  queues     {_queues(setup)}",
        f"  slots      {options.slots} ({options.pool.value})",
        f"  tasks      {len(setup.tasks)}{'' if setup.tasks else ': none found in jobs.py or tasks.py of any app'}",
        f"  session    expires after {policy.session_timeout_seconds:g} s, grace {options.grace_seconds:g} s",
    ]
    if policy.debug:
        text.append("  DEBUG is on: for development only, queries and errors keep more than they should.")
    if list_tasks:
        text.extend(f"    {name}" for name in setup.tasks)
    return text


def fields(setup: WorkerSetup, *, settings_module: str, broker: str) -> dict[str, object]:
    """Return the same for a log line in JSON."""
    options = setup.options
    return {
        "event": "start",
        "version": setup.version,
        "worker": options.name,
        "pid": os.getpid(),
        "settings": settings_module,
        "broker": broker,
        "queues": None if options.queues is None else dict(options.queues),
        "pool": options.pool.value,
        "concurrency": options.concurrency,
        "tasks": len(setup.tasks),
    }


def _results(policy: Policy) -> str:
    if policy.result_store is None:
        return "not kept, except of jobs that failed, expired or were cancelled"
    return "beside the jobs" if policy.result_store == policy.broker else policy.result_store


def _queues(setup: WorkerSetup) -> str:
    options = setup.options
    if options.queues is None:
        text = "all"
    else:
        text = ", ".join(name if weight == 1 else f"{name} x{weight}" for name, weight in options.queues.items())
    if options.excluded:
        text += f", without {', '.join(sorted(options.excluded))}"
    return text
