"""Name -> task, and where tasks are looked for."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import DuplicateTask, TaskNotRegistered
from django_jobs.registry import Registry


def work() -> None: ...


def other() -> None: ...


def spec(name: str, function: Callable[..., Any] = work) -> TaskSpec:
    return TaskSpec(
        name=name,
        function=function,
        given={},
        is_async=False,
        module=function.__module__,
        signature=inspect.signature(function),
    )


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of an installed app whose modules the test writes."""
    folder = tmp_path / "registry_app"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with override_settings(INSTALLED_APPS=["registry_app"]):
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "registry_app"]:
        del sys.modules[name]


def test_a_name_that_is_known_needs_no_discovery(app: Path) -> None:
    (app / "jobs.py").write_text("raise AssertionError('imported')")
    registry = Registry()
    registry.register(spec("known"))
    found = registry.get("known")
    assert found is not None
    assert found.function is work


def test_jobs_and_tasks_of_each_app_are_imported_at_the_first_miss(app: Path) -> None:
    (app / "jobs.py").write_text("import sys\nsys.registry_app_seen = ['jobs']")
    (app / "tasks.py").write_text("import sys\nsys.registry_app_seen.append('tasks')")
    registry = Registry()
    assert registry.get("unknown") is None
    seen = sys.__dict__.pop("registry_app_seen")
    assert seen == ["jobs", "tasks"]
    assert registry.get("unknown") is None


def test_an_app_without_jobs_is_no_error(app: Path) -> None:
    assert Registry().names() == []


def test_an_error_in_a_jobs_module_is_raised_each_time(app: Path) -> None:
    (app / "jobs.py").write_text("1 / 0")
    registry = Registry()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            registry.names()


def test_a_name_that_nobody_knows_says_where_it_was_looked_for(app: Path) -> None:
    registry = Registry()
    registry.register(spec("shop.jobs.send_mail"))
    with pytest.raises(TaskNotRegistered) as caught:
        registry.require("shop.jobs.sendmail")
    assert "Did you mean shop.jobs.send_mail?" in str(caught.value)
    assert "registry_app" in str(caught.value)


def test_names_and_specs_are_sorted(app: Path) -> None:
    registry = Registry()
    for name in ("b", "c", "a"):
        registry.register(spec(name))
    assert registry.names() == ["a", "b", "c"]
    assert [found.name for found in registry] == ["a", "b", "c"]
    registry.unregister("b")
    registry.unregister("never")
    assert registry.names() == ["a", "c"]


def test_two_functions_cannot_share_a_name() -> None:
    registry = Registry()
    registry.register(spec("same"))
    with pytest.raises(DuplicateTask, match=r"test_registry\.work.*test_registry\.other.*@job\(name="):
        registry.register(spec("same", other))


def test_the_function_of_a_reloaded_module_takes_the_place_of_the_old() -> None:
    registry = Registry()
    registry.register(spec("same"))
    again = types.FunctionType(work.__code__, {}, "work")
    again.__module__, again.__qualname__ = work.__module__, work.__qualname__
    registry.register(spec("same", again))
    assert registry.require("same").function is again
