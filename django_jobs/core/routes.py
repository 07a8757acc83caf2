"""Which queue a task's jobs go to where neither the call nor `@job` says: the setting ROUTES, read and asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from importlib import import_module
from typing import Any, Final

from django_jobs.core.options import check_priority, check_queue, check_seconds
from django_jobs.exceptions import InvalidOption

Route = Mapping[str, Any]
"""Some of `queue`, `priority` and `expires` (seconds), checked."""
Decider = Callable[[str, Sequence[Any], Mapping[str, Any], Mapping[str, Any]], Any]
"""A project's function of a task's name and a call's args, kwargs and options: a queue, a dict as above, or None."""

NO_ROUTE: Final[Route] = {}
_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "queue": check_queue,
    "priority": check_priority,
    "expires": check_seconds,
}


@dataclass(frozen=True, slots=True)
class ByName:
    """All tasks whose names fit a pattern take one route."""

    text: str
    pattern: re.Pattern[str]
    route: Route


@dataclass(frozen=True, slots=True)
class ByFunction:
    """A function decides at each call. `path` is imported at the first one."""

    path: str
    function: Decider | None = None

    def load(self) -> Decider:
        """Return the function.

        Raises:
            ImportError: the path names nothing, or what cannot be called.
        """
        if self.function is not None:
            return self.function
        module, _, name = self.path.rpartition(".")
        found = getattr(import_module(module), name, None) if module else None
        if not callable(found):
            raise ImportError(f"{self.path!r} names no function")  # noqa: TRY004  the path is what is wrong
        decider: Decider = found
        return decider

    def ask(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Route:
        """Return what the function says of one call.

        Raises:
            InvalidOption: it cannot be imported, has raised, or has returned what is no route.
        """
        try:
            return read_route(self.load()(name, args, kwargs, options))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"[:400]
            raise InvalidOption(
                f"ROUTES: {self.path} has no route for {name}: {told}. Nothing was enqueued."
            ) from error


@dataclass(frozen=True, slots=True)
class Routes:
    """The entries of ROUTES, in order: the first one that has a route decides."""

    entries: tuple[ByName | ByFunction, ...] = ()

    @property
    def is_dynamic(self) -> bool:
        """Whether each call has to ask."""
        return any(isinstance(entry, ByFunction) for entry in self.entries)

    def find(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] = NO_ROUTE,
        options: Mapping[str, Any] = NO_ROUTE,
    ) -> Route:
        """Return the route of a call of the task `name`; empty for none.

        Raises:
            InvalidOption: as from `ByFunction.ask`.
        """
        for entry in self.entries:
            if isinstance(entry, ByName):
                if entry.pattern.match(name):
                    return entry.route
            elif route := entry.ask(name, args, kwargs, options):
                return route
        return NO_ROUTE


def read_routes(value: Any) -> Routes:
    """Return the setting ROUTES, checked.

    Raises:
        TypeError, ValueError: saying which entry is wrong, and why.
    """
    return Routes(tuple(_entries(value)))


def read_route(value: Any) -> Route:
    """Return one route, given as a queue's name, as a dict, or as None for none.

    Raises:
        TypeError, ValueError: it cannot be.
    """
    if value is None:
        return NO_ROUTE
    given = {"queue": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise TypeError(f"a route is a queue's name or a dict of {', '.join(_CHECKS)}, not {value!r:.80}")
    if unknown := [key for key in given if key not in _CHECKS]:
        raise ValueError(f"a route has no {unknown[0]!r:.40}; it may have: {', '.join(_CHECKS)}")
    return {key: _CHECKS[key](item) for key, item in given.items() if item is not None}


def _entries(value: Any) -> list[ByName | ByFunction]:
    if isinstance(value, Mapping):
        return [_by_name(pattern, route) for pattern, route in value.items()]
    if isinstance(value, str):
        return [ByFunction(value)]
    if callable(value):
        return [ByFunction(f"{value.__module__}.{value.__qualname__}", value)]
    if isinstance(value, Sequence):
        if len(value) == 2 and isinstance(value, tuple) and isinstance(value[0], str | re.Pattern):
            return [_by_name(*value)]
        return [entry for item in value for entry in _entries(item)]
    raise TypeError(
        "it is a dict of task names or globs to queues, the dotted path of a function, or a list of these, not "
        f"{value!r:.80}."
    )


def _by_name(pattern: Any, route: Any) -> ByName:
    if isinstance(pattern, re.Pattern):
        return ByName(pattern.pattern, pattern, _checked(pattern.pattern, route))
    if not isinstance(pattern, str) or not pattern:
        raise TypeError(f"what stands before a route is a task's name or a glob, not {pattern!r:.80}.")
    return ByName(pattern, re.compile(translate(pattern)), _checked(pattern, route))


def _checked(pattern: str, route: Any) -> Route:
    try:
        return read_route(route)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{pattern!r:.80}: {error}") from None
