"""What the project puts around its jobs: MIDDLEWARE and CARRY, loaded once per settings."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_jobs.core.policy import Policy
from django_jobs.execution.carry import Carrier, Carriers, Language, TimeZone, Variable
from django_jobs.execution.context import Request

Middleware = Callable[[Request], Any]
"""Makes the context in which a job runs: `with` it for a plain function, `async with` also for a coroutine."""


@dataclass(frozen=True, slots=True)
class Around:
    """The project's middleware, outermost first, and what it carries; None for nothing."""

    middleware: tuple[Middleware, ...] = ()
    carriers: Carriers | None = None

    def capture(self) -> dict[str, Any]:
        """Return what is to be carried to a job that is enqueued here and now."""
        return {} if self.carriers is None else self.carriers.capture()


NOTHING = Around()
_loaded: tuple[Policy, Around] | None = None


def around_jobs(policy: Policy) -> Around:
    """Return what `policy` names; each name is imported once.

    Raises:
        ImproperlyConfigured: a name cannot be imported, or is not what the setting takes.
    """
    global _loaded
    if not policy.middleware and not policy.carry:
        return NOTHING
    loaded = _loaded
    if loaded is None or loaded[0] is not policy:
        loaded = _loaded = policy, _load(policy)
    return loaded[1]


def _load(policy: Policy) -> Around:
    middleware = []
    for name in policy.middleware:
        made = _imported(name, "MIDDLEWARE")
        if not callable(made):
            raise ImproperlyConfigured(
                f"DJANGO_JOBS['MIDDLEWARE']: {name!r} cannot be called. It takes the job's request "
                "and returns a context manager."
            )
        middleware.append(made)
    carriers = {name: _carrier(name, policy) for name in policy.carry}
    return Around(tuple(middleware), Carriers(carriers) if carriers else None)


def _carrier(name: str, policy: Policy) -> Carrier:
    if name == "language":
        return Language(policy.language)
    if name == "time_zone":
        return TimeZone()
    found = _imported(name, "CARRY")
    if isinstance(found, ContextVar):
        return Variable(found)
    made = found() if isinstance(found, type) else found
    if not callable(getattr(made, "capture", None)) or not callable(getattr(made, "restore", None)):
        raise ImproperlyConfigured(
            f"DJANGO_JOBS['CARRY']: {name!r} is neither 'language', 'time_zone' nor a ContextVar, and lacks the "
            "methods capture() and restore(value)."
        )
    return cast(Carrier, made)


def _imported(name: str, key: str) -> Any:
    try:
        return import_string(name)
    except ImportError as error:
        raise ImproperlyConfigured(f"DJANGO_JOBS[{key!r}]: {name!r} cannot be loaded: {error}.") from error
