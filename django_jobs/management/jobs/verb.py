"""What a verb of the `jobs` command is made of, and where it writes."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from django.core.management.base import CommandError, OutputWrapper

from django_jobs.management.jobs.text import printable

DOCUMENT_VERSION: Final = 1
ERROR: Final = 1
USAGE: Final = 2
NOTHING_MATCHED: Final = 3


class Output:
    """Writes lines for people, or one JSON document for programs; never a control character of somebody's data."""

    def __init__(self, stdout: OutputWrapper, *, as_json: bool) -> None:
        self._stdout = stdout
        self.as_json = as_json

    def lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._stdout.write(printable(line))

    def document(self, content: Mapping[str, Any]) -> None:
        self._stdout.write(json.dumps({"version": DOCUMENT_VERSION, **content}, indent=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb: its name, its arguments, and what it does."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Mapping[str, Any], Output], None]


def stop(text: str, exit_code: int) -> NoReturn:
    """End the command with a text on standard error.

    Raises:
        CommandError: always.
    """
    raise CommandError(printable(text), returncode=exit_code)
