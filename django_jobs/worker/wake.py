"""A pipe that ends a wait: written by another thread or process, watched by whoever sleeps."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Wake:
    """Both ends of a non-blocking pipe. After a fork each process closes the end that it does not use."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self._write_fd, False)

    @property
    def write_fd(self) -> int:
        """The end for signal.set_wakeup_fd."""
        return self._write_fd

    def poke(self) -> None:
        """End the wait, or the next one; a full pipe has been poked already, a closed one has nobody behind it."""
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._write_fd, b"!")

    def drain(self) -> None:
        """Forget all pokes."""
        with suppress(BlockingIOError):
            while len(os.read(self.read_fd, 4096)) == 4096:
                pass

    def wait(self, seconds: float) -> bool:
        """Sleep until poked; say whether it was. Pokes stay until `drain`."""
        ready, _, _ = select.select([self.read_fd], [], [], max(0.0, seconds))
        return bool(ready)

    def close(self) -> None:
        """Close both ends."""
        for fd in (self.read_fd, self._write_fd):
            with suppress(OSError):
                os.close(fd)
