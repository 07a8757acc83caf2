"""What one worker was asked to do, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django_jobs.core.policy import Policy
from django_jobs.worker.layout import Size

ROOM: Final = 16
"""Children that a worker has room for at least."""


class PoolKind(StrEnum):
    """How the slots of a worker are made."""

    PROCESSES = "processes"
    """`concurrency` children, each with `threads` runners."""
    THREADS = "threads"
    """One child with `concurrency` runner threads."""
    ASYNCIO = "asyncio"
    """One child with `concurrency` coroutines; other jobs run one at a time in it."""
    GEVENT = "gevent"
    """One child with `concurrency` greenlets, in a process in which gevent has replaced threads, locks and sockets."""
    SOLO = "solo"
    """No child: the first process works itself, so that breakpoint() has the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of `runworker`, checked, with every default filled in."""

    name: str
    pool: PoolKind = PoolKind.PROCESSES
    concurrency: int = 1
    threads: int = 1
    async_slots: int = 100
    queues: Mapping[str, int] | None = None
    """Queue -> weight; None takes all queues, also later ones."""
    excluded: frozenset[str] = frozenset()
    burst: bool = False
    """End once nothing is due any more."""
    max_jobs: int | None = None
    """End after so many jobs, over all children."""
    max_jobs_per_child: int | None = None
    max_memory_per_child: int | None = None
    """MiB of resident memory at which a child is replaced after its job."""
    grace_seconds: float = 25.0
    soft_time_limit: float | None = None
    """Seconds, for tasks that have no limits of their own."""
    time_limit: float | None = None
    autoscale: tuple[int, int] | None = None
    """The fewest and the most children; None for `concurrency`, always."""
    reloader_pid: int | None = None
    """Stop when this parent is gone; None for no reloader."""

    @property
    def children(self) -> int:
        """How many processes run jobs."""
        if self.autoscale is not None:
            return self.autoscale[0]
        return self.concurrency if self.pool is PoolKind.PROCESSES else 1

    @property
    def is_one_process(self) -> bool:
        """Whether the first process runs the jobs, and keeps the session, too."""
        return self.pool is PoolKind.SOLO

    @property
    def most_children(self) -> int:
        """How many children an order from afar or `--autoscale` may come to."""
        if self.pool is not PoolKind.PROCESSES:
            return 1
        return self.autoscale[1] if self.autoscale is not None else max(2 * self.concurrency, ROOM)

    @property
    def runners(self) -> int:
        """Threads per child that run jobs."""
        if self.pool in {PoolKind.THREADS, PoolKind.GEVENT}:
            return self.concurrency
        return self.threads if self.pool is PoolKind.PROCESSES else 1

    @property
    def interrupts_functions(self) -> bool:
        """Whether a signal can raise in a plain function: only where the main thread runs one job and nothing else."""
        return self.runners == 1 and self.pool is not PoolKind.GEVENT

    @property
    def runs_coroutines(self) -> bool:
        """Whether it has a loop. Beside greenlets it cannot: all of them would seem to be inside of it."""
        return self.pool is not PoolKind.GEVENT

    @property
    def coroutines(self) -> int:
        """Coroutine jobs that one child runs at a time."""
        return self.concurrency if self.pool is PoolKind.ASYNCIO else self.async_slots

    @property
    def size(self) -> Size:
        """What one child's block of the shared memory has to hold."""
        return Size.of(runners=self.runners, coroutines=self.coroutines)

    @property
    def slots(self) -> str:
        """Say in words what runs at a time."""
        if self.autoscale is not None:
            return f"{self.autoscale[0]} to {self.autoscale[1]} processes{self._each}"
        return self.slots_of(self.children)

    def slots_of(self, children: int) -> str:
        """Say in words what runs at a time in so many children."""
        match self.pool:
            case PoolKind.PROCESSES:
                return f"{children} process{'' if children == 1 else 'es'}{self._each}"
            case PoolKind.THREADS:
                return f"{self.concurrency} threads in one process"
            case PoolKind.GEVENT:
                return f"{self.concurrency} greenlets in one process"
            case PoolKind.ASYNCIO:
                return f"{self.concurrency} coroutines in one process"
            case _:
                return "1, in the worker's own process"

    @property
    def _each(self) -> str:
        return f" x {self.threads} threads" if self.threads > 1 else ""


def fence_seconds(policy: Policy) -> float:
    """Return how long after a renewal was sent its session may claim and start: 2/3 of the timeout."""
    return policy.session_timeout_seconds * 2 / 3
