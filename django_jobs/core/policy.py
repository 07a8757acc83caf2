"""The settings as everything below the edges sees them: one frozen value, with units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django_jobs.core.declaration import Declaration
from django_jobs.core.routes import Routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What DJANGO_JOBS says, checked, with every default filled in."""

    broker: str = "database"
    result_store: str | None = "database"
    database: str = "default"
    namespace: str = "jobs"
    default_queue: str = "default"
    queues: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    session_renew_seconds: float = 5.0
    session_timeout_seconds: float = 30.0
    session_fence_seconds: float | None = None
    grace_seconds: float = 25.0
    cancel_grace_seconds: float = 3.0
    max_crashes: int = 3
    max_payload_bytes: int = 262_144
    max_result_bytes: int = 1_048_576
    result_ttl_seconds: float = 7 * 86_400.0
    failed_result_ttl_seconds: float = 90 * 86_400.0
    task_defaults: Mapping[str, Any] = field(default_factory=dict)
    routes: Routes = field(default_factory=Routes)
    schedules: Mapping[str, Declaration] = field(default_factory=dict)
    """By name; those of the setting only, a task's own is among its options."""
    broken_schedules: Mapping[str, str] = field(default_factory=dict)
    """Name -> why the entry cannot be used. It stops nothing else: a check and the beat tell of it."""
    outbox: bool = False
    eager: bool = False
    """Jobs run at the call that would enqueue them."""
    eager_propagates: bool = True
    """Their errors are raised there."""
    middleware: tuple[str, ...] = ()
    """Dotted names of what makes a context around each run."""
    carry: tuple[str, ...] = ()
    """`language`, `time_zone`, or dotted names of context variables and carriers."""
    use_tz: bool = True
    time_zone: str = "UTC"
    language: str = "en-us"
    debug: bool = False

    @property
    def keeps_results(self) -> bool:
        """Whether successes are stored (other ends always are)."""
        return self.result_store is not None
