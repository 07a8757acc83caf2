"""The reference names everything that exists, and nothing else."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Iterator

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

import django_jobs
from django_jobs import AsyncResult, Task, checks, conf, exceptions, signals
from django_jobs.client.terms import CallOptions
from django_jobs.core.options import TaskOptions
from django_jobs.core.policy import Policy
from django_jobs.core.routes import Routes
from django_jobs.core.spelling import ALIASES, RETRY_KWARGS
from tests.docs.pages import ROOT, reference

DJANGO_OPTIONS = {action for option in BaseCommand().create_parser("", "")._actions for action in option.option_strings}


def rows(text: str) -> dict[str, list[str]]:
    """Return the tables' rows by what their first cell names in backticks; one cell may name several."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[name] = cells
    return found


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found is not None, f"no heading {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {name: cells[1].strip("`") for name, cells in rows(reference("settings")).items() if name.isupper()}
    expected = {}
    for key in conf.SETTING_KEYS:
        default = getattr(Policy(), key.lower())
        expected[key] = dict(default) if hasattr(default, "keys") else {} if isinstance(default, Routes) else default
    assert {name: ast.literal_eval(default.replace("_", "")) for name, default in documented.items()} == expected


def check_ids() -> Iterator[str]:
    for node in ast.walk(ast.parse(inspect.getsource(checks))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_error", "_warning"}:
            first = node.args[0]
            assert isinstance(first, ast.Constant)
            assert isinstance(first.value, int)
            yield f"django_jobs.{node.func.id[1].upper()}{first.value:03}"


def test_every_check_is_documented() -> None:
    assert set(rows(reference("checks"))) == set(check_ids())


def test_every_signal_is_documented() -> None:
    existing = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(rows(reference("signals"))) == existing


def test_every_error_is_documented() -> None:
    existing = {
        name
        for module in (exceptions, conf)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, exceptions.JobsError) and value.__module__ == module.__name__
    }
    assert set(rows(reference("errors"))) == existing


def option_names(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield (sub-command or empty text, option or name of an argument)."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield name, ""
                yield from ((name, option) for _, option in option_names(sub))
        elif not action.option_strings:
            yield "", (action.metavar if isinstance(action.metavar, str) else action.dest)
        else:
            longest = max(action.option_strings, key=len)
            if longest not in DJANGO_OPTIONS and action.help != argparse.SUPPRESS:
                yield "", longest


SAME_COMMAND = {"jobs_worker": "runworker", "jobs_beat": "runbeat"}
"""Another name of a command -> the section that documents it."""
COMMANDS = sorted(name for name, app in get_commands().items() if app == "django_jobs")


def test_there_are_commands() -> None:
    """An empty list of commands would pass the next test."""
    assert {"jobs", "runworker", "jobs_worker", "runbeat", "jobs_beat"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = reference("commands")
    parser = load_command_class("django_jobs", name).create_parser("manage.py", name)
    missing = []
    for sub, option in option_names(parser):
        place = section(text, f"{SAME_COMMAND.get(name, name)} {sub}".strip())
        if option and not re.search(rf"`[^`\n]*(?<![\w-]){re.escape(option)}(?![\w-])[^`\n]*`", place):
            missing.append(f"{name} {sub} {option}")
    assert missing == []
    assert f"`{name}`" in text


def test_every_option_of_a_task_is_documented() -> None:
    names = {*TaskOptions.__dataclass_fields__, *ALIASES, RETRY_KWARGS, "name"}
    assert set(rows(section(reference("decorator"), "Options of a task"))) == names


def test_every_option_of_a_call_is_documented() -> None:
    assert set(rows(section(reference("decorator"), "Options of a call"))) == set(CallOptions.__annotations__)


def public_members(kind: type) -> set[str]:
    return {name for base in kind.__mro__[:-2] for name in vars(base) if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "page"), [(Task, "decorator"), (AsyncResult, "results")])
def test_every_member_of_a_public_class_is_documented(kind: type, page: str) -> None:
    assert {name for name in public_members(kind) if not re.search(rf"`{name}\b", reference(page))} == set()


def test_every_public_name_is_documented() -> None:
    text = "".join(reference(page.stem) for page in (ROOT / "docs" / "reference").glob("*.md"))
    assert [name for name in django_jobs.__all__ if not re.search(rf"`{name}\b", text)] == []
