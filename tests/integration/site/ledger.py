"""A file that many processes append lines to: what really ran, whatever the stores say."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One line."""

    event: str
    key: str
    pid: int
    attempt: int
    at: float
    """Monotonic seconds, the same in all processes of the machine."""


def write(event: str, key: str, attempt: int = 0) -> None:
    """Append one line, whole, however many processes do so."""
    line = f"{event} {key} {os.getpid()} {attempt} {time.monotonic()}\n"
    descriptor = os.open(Path(os.environ["LEDGER"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Entry]:
    """Return all lines so far."""
    if not path.exists():
        return []
    return [parse(line) for line in path.read_text().splitlines()]


def parse(line: str) -> Entry:
    """Read one line."""
    event, rest = line.split(" ", 1)
    key, pid, attempt, at = rest.rsplit(" ", 3)  # a key may have spaces
    return Entry(event, key, int(pid), int(attempt), float(at))
