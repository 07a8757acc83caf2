"""The options of `runworker`: declared, checked, and made into one frozen value."""

from __future__ import annotations

import os
import socket
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandError
from django.db import connections as database_connections

from django_jobs.connections import connections
from django_jobs.core.options import check_queue, soft_above_hard
from django_jobs.worker.logs import LogFormat
from django_jobs.worker.options import PoolKind, WorkerOptions


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `runworker`."""
    what = parser.add_argument_group("what to run")
    what.add_argument("--queues", type=_weights, help="names with weights, as a,b=2; without it all queues")
    what.add_argument("--exclude-queues", type=_names, default=frozenset(), help="names that are left to others")
    what.add_argument("--burst", action="store_true", help="end once nothing is due any more")
    what.add_argument("--max-jobs", type=_positive, help="end after so many jobs")
    how = parser.add_argument_group("how to run it")
    how.add_argument("--concurrency", "-c", type=_positive, help="default: number of CPUs; 2 on SQLite")
    how.add_argument("--autoscale", type=_range, metavar="MIN,MAX", help="as many processes as are busy, between these")
    how.add_argument("--pool", choices=[kind.value for kind in PoolKind], default=PoolKind.PROCESSES.value)
    how.add_argument("--threads", type=_positive, default=1, help="threads in each process (1)")
    how.add_argument("--async-slots", type=_positive, default=100, help="coroutine jobs in each process (100)")
    how.add_argument("--max-jobs-per-child", type=_positive, help="replace a process after so many jobs")
    how.add_argument("--max-memory-per-child", type=_positive, help="replace a process that has grown to so many MiB")
    how.add_argument("--soft-time-limit", type=_limit, help="seconds, for tasks without limits: raise in the job")
    how.add_argument("--time-limit", type=_limit, help="seconds, for tasks without limits: kill the process")
    how.add_argument("--beat", action="store_true", help="also enqueue what schedules say, as runbeat does")
    how.add_argument("--grace-seconds", type=_seconds, help="for running jobs after a stop (GRACE_SECONDS)")
    how.add_argument("--name", help="the worker's name (host.pid)")
    how.add_argument("--log-format", choices=[kind.value for kind in LogFormat], default=LogFormat.TEXT.value)
    how.add_argument("--reload", action="store_true", default=None, help="start again when code changes (DEBUG)")
    how.add_argument("--no-reload", action="store_false", dest="reload")


def worker_options(options: Mapping[str, Any], *, reloader_pid: int | None) -> WorkerOptions:
    """Return what was asked for, with every default filled in.

    Raises:
        CommandError: options that do not go together.
    """
    queues, excluded = options["queues"], options["exclude_queues"]
    if queues is not None and not set(queues) - excluded:
        raise CommandError("--exclude-queues leaves none of --queues.", returncode=2)
    if problem := soft_above_hard(options["soft_time_limit"], options["time_limit"]):
        raise CommandError(problem, returncode=2)
    pool, grace, autoscale = PoolKind(options["pool"]), options["grace_seconds"], options["autoscale"]
    if autoscale:
        check_autoscale(pool, options["concurrency"])
    return WorkerOptions(
        name=options["name"] or f"{socket.gethostname()}.{os.getpid()}",
        pool=pool,
        autoscale=autoscale,
        concurrency=options["concurrency"] or _default_concurrency(),
        threads=options["threads"],
        async_slots=options["async_slots"],
        queues=queues,
        excluded=excluded,
        burst=options["burst"],
        max_jobs=options["max_jobs"],
        max_jobs_per_child=options["max_jobs_per_child"],
        max_memory_per_child=options["max_memory_per_child"],
        grace_seconds=connections.policy.grace_seconds if grace is None else grace,
        soft_time_limit=options["soft_time_limit"],
        time_limit=options["time_limit"],
        reloader_pid=reloader_pid,
    )


def check_autoscale(pool: PoolKind, concurrency: int | None) -> None:
    """Refuse what does not go with `--autoscale`.

    Raises:
        CommandError: it has no processes to add, or their number is given.
    """
    if pool is not PoolKind.PROCESSES:
        text = f"--autoscale adds and takes away processes, and --pool {pool.value} has one: say --concurrency."
        raise CommandError(text, returncode=2)
    if concurrency is not None:
        raise CommandError("--autoscale says how many processes there are: leave --concurrency out.", returncode=2)


def _default_concurrency() -> int:
    """Return the number of CPUs that this process may use; 2 where one writer at a time is all that there is."""
    policy = connections.policy
    if policy.broker == "database" and database_connections[policy.database].vendor == "sqlite":
        return 2
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _weights(text: str) -> dict[str, int]:
    weights: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = item.partition("=")
        weights[_checked(check_queue, name.strip())] = _positive(weight) if weight else 1
    if not weights:
        raise ArgumentTypeError("it names no queue; an example is: mail=3,default")
    return weights


def _names(text: str) -> frozenset[str]:
    return frozenset(_checked(check_queue, name.strip()) for name in text.split(",") if name.strip())


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"it is a whole number from 1 on, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**9:
        raise ArgumentTypeError(f"it is a duration in seconds, 0 or more, not {text!r}")
    return seconds


def _limit(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise ArgumentTypeError("a limit of time is above 0 seconds")
    return seconds


def _range(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2:
        raise ArgumentTypeError("it is the fewest and the most processes; an example is: 2,8")
    least, most = _positive(parts[0].strip()), _positive(parts[1].strip())
    if least > most:
        raise ArgumentTypeError(f"the fewest come first: {most},{least}")
    return least, most
