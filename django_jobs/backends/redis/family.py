"""One family of keys: everything that one script may touch, under one hash tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_jobs.backends.redis.client import Client
from django_jobs.backends.redis.scripts import Script

shifts_us: dict[str, int] = {}
"""Microseconds by which tests have moved the clock of a family, by its prefix."""


class Family:
    """Runs scripts on the keys that begin with `prefix`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.prefix = f"{{{namespace}}}:"
        self.keys = [f"{self.prefix}jobs"]
        if client.source.cluster:
            # Never written. While a slot moves, a node has only part of its keys, and refuses (TRYAGAIN) a command that
            # names a missing one. So no script ever runs on half of a family and takes the rest for empty.
            self.keys.append(f"{self.prefix}never")

    def run(self, script: Script, arguments: Sequence[Any] = ()) -> Any:
        """Run one verb; see its file for arguments and answer."""
        return self.client.run(script, self.keys, self._arguments(arguments))

    def command(self, script: Script, arguments: Sequence[Any]) -> list[Any]:
        """Return the command that runs one verb where the server knows its script."""
        return ["EVALSHA", script.sha, len(self.keys), *self.keys, *self._arguments(arguments)]

    def _arguments(self, arguments: Sequence[Any]) -> list[Any]:
        shift_us = shifts_us.get(self.prefix, 0) if shifts_us else 0
        return [self.prefix, shift_us, *arguments]

    def shift_clock(self, seconds: float) -> None:
        """Move the clock of this family for every store of this process; for tests of what time does."""
        shifts_us[self.prefix] = shifts_us.get(self.prefix, 0) + round(seconds * 1_000_000)
