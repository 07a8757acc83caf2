"""Context that travels with a job: read where it is enqueued, there again while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

from django.utils import timezone, translation

HEADER: Final = "_context"
"""The header of a message under which it travels; nothing is there where nothing was set."""


class Carrier(Protocol):
    """One piece of context. A project may bring its own, for a trace for example."""

    def capture(self) -> Any:
        """Return a plain value (see `core.serializer`), or None where there is nothing to carry."""

    def restore(self, value: Any) -> AbstractContextManager[Any]:
        """Return a context in which it holds. Coroutine jobs enter it too, so it must not be the thread's."""


class Language:
    """The active language, where it is another one than the project's."""

    def __init__(self, default: str) -> None:
        self._default = default

    def capture(self) -> str | None:
        language = translation.get_language()
        return None if language == self._default else language

    def restore(self, value: str) -> AbstractContextManager[Any]:
        return translation.override(value)


class TimeZone:
    """The current time zone, where it is another one than the project's."""

    def capture(self) -> str | None:
        name = timezone.get_current_timezone_name()
        return None if name == timezone.get_default_timezone_name() else name

    def restore(self, value: str) -> AbstractContextManager[Any]:
        return timezone.override(value)


class Variable:
    """A context variable, where it has a value other than None."""

    def __init__(self, variable: ContextVar[Any]) -> None:
        self._variable = variable

    def capture(self) -> Any:
        return self._variable.get(None)

    @contextmanager
    def restore(self, value: Any) -> Iterator[None]:
        token = self._variable.set(value)
        try:
            yield
        finally:
            self._variable.reset(token)


class Carriers:
    """All that a project carries, by name."""

    def __init__(self, carriers: Mapping[str, Carrier]) -> None:
        self._carriers = carriers

    def capture(self) -> dict[str, Any]:
        """Return what is set here and now."""
        found = ((name, carrier.capture()) for name, carrier in self._carriers.items())
        return {name: value for name, value in found if value is not None}

    def restore(self, values: Mapping[str, Any], stack: ExitStack) -> None:
        """Enter what was captured; a name that is carried no more is left out."""
        for name, value in values.items():
            if (carrier := self._carriers.get(name)) is not None:
                stack.enter_context(carrier.restore(value))
