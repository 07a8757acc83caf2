"""Forking a process that dies with its parent, and killing and waiting for it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

logger = logging.getLogger("django_jobs.worker")

EXIT_BROKEN: Final = 70
"""Something of ours has failed (sysexits: internal software error)."""
PR_SET_PDEATHSIG: Final = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


class Tie:
    """What makes children die with the supervisor: PDEATHSIG on Linux, the end of a pipe elsewhere."""

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._read_fd, self._write_fd = os.pipe()

    def bind(self) -> None:
        """Tie this freshly forked process to its parent; ends it at once if the parent is gone already."""
        os.close(self._write_fd)
        if _prctl is not None and _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
            os.close(self._read_fd)
        else:
            threading.Thread(target=self._watch, name="django_jobs-tie", daemon=True).start()
        if os.getppid() != self._parent:
            os._exit(EXIT_BROKEN)

    def _watch(self) -> None:
        os.read(self._read_fd, 1)  # nobody writes: it returns when the last write end, the supervisor's, is closed
        os._exit(EXIT_BROKEN)

    def close(self) -> None:
        """Forget the pipe, in the parent."""
        os.close(self._read_fd)
        os.close(self._write_fd)


def fork(tie: Tie, main: Callable[[], int]) -> int:
    """Run `main` in a new process and return its pid; call it from the main thread of a process without others.

    The new process never returns from here: it ends with what `main` returns.
    """
    _flush()
    pid = os.fork()
    if pid:
        return pid
    code = EXIT_BROKEN
    try:
        tie.bind()
        code = main()
    except BaseException:
        logger.critical("Process %d has failed.", os.getpid(), exc_info=True)
    finally:
        _flush()
        os._exit(code)


def kill(pid: int) -> None:
    """Send SIGKILL to a child of ours that was not waited for yet."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def ended(pid: int) -> int | None:
    """Return the wait status of a child of ours if it has ended; it is gone then."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return status if found else None


def wait_for(pid: int) -> int:
    """Return the wait status of a child that was killed."""
    return os.waitpid(pid, 0)[1]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
