"""All that the processes of one worker are given, as one frozen value: options, settings, tasks and stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django_jobs.core.policy import Policy
from django_jobs.core.spec import TaskSpec
from django_jobs.execution.around import NOTHING, Around
from django_jobs.execution.plan import Plans
from django_jobs.ports.broker import Broker
from django_jobs.ports.lock import Lock
from django_jobs.ports.outbox import Outbox
from django_jobs.ports.result_store import ResultStore
from django_jobs.worker.options import WorkerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """Made by the command. The stores are opened by each process for itself, after the fork."""

    options: WorkerOptions
    policy: Policy
    find: Callable[[str], TaskSpec | None]
    tasks: tuple[str, ...]
    """The names of all tasks that this worker knows."""
    at_most_once: tuple[str, ...]
    """Those with acks_late=False."""
    left_to_others: tuple[str, ...] = ()
    """Tasks that the project has and this worker's pool cannot run; they are as unknown to it."""
    open_broker: Callable[[], Broker]
    """Returns a broker over a connection of its own."""
    open_results: Callable[[], ResultStore]
    open_lock: Callable[[], Lock]
    open_outbox: Callable[[], Outbox] | None = None
    """Returns the outbox over a connection of its own; None where the broker is the database, and needs none."""
    catch_up: Callable[[], None] | None = None
    """Does what the start had to leave undone because the store was away; called by the keeper once it answers."""
    around: Around = NOTHING
    """What the project puts around its jobs."""
    version: str = ""
    beat: Callable[[], int] | None = None
    """Runs a beat until SIGTERM and returns its exit code; the supervisor forks a process for it."""

    def plans(self) -> Plans:
        """Return the plans of all tasks, for one process."""
        options = self.options
        return Plans(
            self.find,
            self.policy.task_defaults,
            soft_seconds=options.soft_time_limit,
            hard_seconds=options.time_limit,
        )
