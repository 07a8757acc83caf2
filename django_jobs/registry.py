"""Task name -> TaskSpec, filled by `@job` and by looking into each app's jobs.py and tasks.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from difflib import get_close_matches

from django.apps import apps
from django.utils.module_loading import autodiscover_modules

from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import DuplicateTask, TaskNotRegistered

MODULES = ("jobs", "tasks")


class Registry:
    """The tasks that this process knows. Discovery happens at the first look-up that misses, not at start-up."""

    def __init__(self) -> None:
        self._specs: dict[str, TaskSpec] = {}
        self._discovered = False
        self._lock = threading.RLock()

    def register(self, spec: TaskSpec) -> None:
        """Add a task.

        Raises:
            DuplicateTask: another function has the name. The same function of a reloaded module takes its place.
        """
        with self._lock:
            known = self._specs.get(spec.name)
            if known is not None and not _same_source(known, spec):
                raise DuplicateTask(
                    f"Two functions are registered as the task {spec.name!r}: {_where(known)} and {_where(spec)}. "
                    "Give one of them another name: @job(name=...)."
                )
            self._specs[spec.name] = spec

    def get(self, name: str) -> TaskSpec | None:
        """Return the task of this name, or None; looks into the apps first when it is not known yet."""
        spec = self._specs.get(name)
        if spec is None and not self._discovered:
            self.discover()
            spec = self._specs.get(name)
        return spec

    def require(self, name: str) -> TaskSpec:
        """Return the task of this name.

        Raises:
            TaskNotRegistered: saying which apps were looked into and what is called alike.
        """
        spec = self.get(name)
        if spec is None:
            close = get_close_matches(name, list(self._specs), n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise TaskNotRegistered(
                f"No task is registered as {name!r}.{hint} Looked into jobs.py and tasks.py of: "
                f"{', '.join(config.name for config in apps.get_app_configs())}. Is its app in INSTALLED_APPS?"
            )
        return spec

    def discover(self) -> None:
        """Import each app's jobs.py and tasks.py, once per process; an error in one of them is raised as it is."""
        with self._lock:
            if not self._discovered:
                self._discovered = True
                try:
                    autodiscover_modules(*MODULES)
                except BaseException:
                    self._discovered = False
                    raise

    def names(self) -> list[str]:
        """Return every task's name, sorted, after looking into the apps."""
        self.discover()
        return sorted(self._specs)

    def __iter__(self) -> Iterator[TaskSpec]:
        self.discover()
        return iter([self._specs[name] for name in sorted(self._specs)])

    def unregister(self, name: str) -> None:
        """Forget a task (for tests)."""
        with self._lock:
            self._specs.pop(name, None)


def _same_source(known: TaskSpec, spec: TaskSpec) -> bool:
    return (known.module, known.function.__qualname__) == (spec.module, spec.function.__qualname__)


def _where(spec: TaskSpec) -> str:
    code = getattr(spec.function, "__code__", None)
    place = f"{spec.module}.{spec.function.__qualname__}"
    return f"{place} ({code.co_filename}:{code.co_firstlineno})" if code else place


registry = Registry()
