"""The stacks of all threads of a worker's processes, asked for by a signal and read from a file that they share.

The handler is faulthandler's: it runs in C, so that a process which holds the interpreter for good answers, too.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

ASK_SIGNAL: Final = getattr(signal, "SIGUSR2", None)
ANSWER_SECONDS: Final = 2.0
"""For one process to write its stacks; more than it needs, unless it was stopped."""
SETTLED_SECONDS: Final = 0.05
"""A file that has not grown for so long is whole."""
LOOK_SECONDS: Final = 0.01


class Stacks:
    """Made, with its signal taken, by the first process before it forks: each process inherits file and handler."""

    def __init__(self) -> None:
        self.maker = os.getpid()
        """The first process, which has the signal's handler as all that it forks."""
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  open for as long as the worker lives
        if ASK_SIGNAL is not None and hasattr(faulthandler, "register"):
            faulthandler.register(ASK_SIGNAL, file=self._file, all_threads=True, chain=False)

    def of_this_process(self) -> str:
        """Return where every thread of this process is."""
        self._empty()
        faulthandler.dump_traceback(file=self._file, all_threads=True)
        return self._read()

    def of(self, pid: int, meanwhile: Callable[[], None]) -> str:
        """Return where every thread of another process of this worker is, or why that is not known.

        Blocks: 2 s at most; `meanwhile` is called again and again.
        """
        if ASK_SIGNAL is None:
            return "This system has no signal to ask it with."
        self._empty()
        try:
            os.kill(pid, ASK_SIGNAL)
        except ProcessLookupError:
            return "It has ended."
        size, deadline = 0, time.monotonic() + ANSWER_SECONDS
        settled_at = deadline
        while (now := time.monotonic()) < min(deadline, settled_at):
            time.sleep(LOOK_SECONDS)
            meanwhile()
            grown = os.fstat(self._file.fileno()).st_size
            if grown != size:
                size, settled_at = grown, now + SETTLED_SECONDS
        return self._read() or f"It did not answer within {ANSWER_SECONDS:g} s: it was stopped, or has just begun."

    def close(self) -> None:
        """Give the signal and the file back."""
        if ASK_SIGNAL is not None and hasattr(faulthandler, "unregister"):
            faulthandler.unregister(ASK_SIGNAL)
        with suppress(OSError):
            self._file.close()

    def _empty(self) -> None:
        # All processes share one place in the file, since they have inherited it open.
        self._file.seek(0)
        self._file.truncate()

    def _read(self) -> str:
        size = os.fstat(self._file.fileno()).st_size
        return os.pread(self._file.fileno(), size, 0).decode(errors="replace")
