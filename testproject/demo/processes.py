"""The two processes beside the command: the worker and the site. They end when the command does, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from testproject.demo.errors import DemoError

PR_SET_PDEATHSIG: Final = 1
HOST: Final = "127.0.0.1"


class ManagedProcess:
    """A `manage.py` command that runs beside this one; what it says goes to a file.

    It has a process group of its own: Ctrl-C in the terminal reaches the command alone, which then stops it in order.
    On Linux the kernel sends it SIGTERM when the command dies, be it by kill -9; elsewhere it goes on then, and the
    next start finds it at work.
    """

    def __init__(self, arguments: Sequence[str], *, project: Path, log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(project / "manage.py"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                process_group=0,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - this command has one thread
            )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait for its end, at most `seconds`; return its exit code (a signal as a negative number), or None."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, patience_seconds: float) -> None:
        """Ask it to end, wait, and kill what is still there. A Ctrl-C meanwhile asks it a second time: at once."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            code = self.wait(patience_seconds)
        except KeyboardInterrupt:
            self._process.terminate()
            code = self.wait(patience_seconds)
        if code is None:
            self.kill()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """Return the last lines that it has written in this life."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])


def free_port(port: int) -> int:
    """Return `port` if it can be listened on, or a free one for 0.

    Raises:
        DemoError: something listens on it, or it may not be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DemoError(f"Port {port} cannot be used: {reason}. Choose another with --port.") from error
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Say whether something accepts connections on `port`."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork; after it the child calls this one function.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return ask
