"""How jobs are seen from outside: each appends to a file on tmpfs with one os.write, which costs all sides the same."""

from __future__ import annotations

import functools
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DIRECTORY: Final = "BENCH_TICKS"
"""The environment variable that names the directory of the two files."""
TMPFS: Final = Path("/dev/shm")
_DELAY: Final = struct.Struct("q")


@functools.cache
def _descriptor(name: str) -> int:
    return os.open(Path(os.environ[DIRECTORY]) / name, os.O_WRONLY | os.O_APPEND)


def tick() -> None:
    """Count this job."""
    os.write(_descriptor("count"), b".")


def stamp(sent_ns: int) -> None:
    """Note how long ago `sent_ns` is, a reading of time.monotonic_ns() by another process of this machine."""
    os.write(_descriptor("delays"), _DELAY.pack(time.monotonic_ns() - sent_ns))


class Ticks:
    """The files of one run, as the runner reads them."""

    def __init__(self, directory: Path) -> None:
        self._count = directory / "count"
        self._delays = directory / "delays"
        self.environment = {DIRECTORY: str(directory)}
        for path in (self._count, self._delays):
            path.touch()

    def count(self) -> int:
        """Return how many jobs have counted themselves."""
        return self._count.stat().st_size

    def delays_ms(self) -> list[float]:
        """Return the delays that were noted so far, in milliseconds, shortest first."""
        return sorted(delay / 1e6 for (delay,) in _DELAY.iter_unpack(self._delays.read_bytes()))

    def forget_delays(self) -> None:
        os.truncate(self._delays, 0)


@contextmanager
def new_ticks() -> Iterator[Ticks]:
    """Make the files of one run, on tmpfs where there is one."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=TMPFS if TMPFS.is_dir() else None) as directory:
        yield Ticks(Path(directory))
