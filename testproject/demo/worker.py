"""The demo's worker: `manage.py runworker` beside the command, started again when it dies."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

from testproject.demo import places
from testproject.demo.errors import DemoError
from testproject.demo.processes import ManagedProcess

MAX_STARTS_WITHOUT_PROGRESS: Final = 5
STOP_SECONDS: Final = 35.0
"""A worker lets its jobs run for GRACE_SECONDS (25) and needs up to 3 more; it is killed only when it hangs."""


class DemoWorker:
    """Keeps one worker running. `say` gets a line whenever it has died."""

    def __init__(self, *, queue: str, takes_all: bool, say: Callable[[str], None]) -> None:
        queues = f"{queue}=2,default" if takes_all else queue
        self._arguments = ["runworker", "--no-reload", "--queues", queues, *(["--beat"] if takes_all else [])]
        self._say = say
        self._starts = 0
        self.was_killed = False
        """Whether one died without giving its jobs back: these wait for the end of its session."""
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Return the process id of the worker that runs now."""
        return self._process.pid

    def wait(self, seconds: float) -> None:
        """Wait `seconds`, or start the worker again as soon as it is seen to have died.

        Raises:
            DemoError: it ended with an error, or dies again and again; with its last words.
        """
        code = self._process.wait(seconds)
        if code is None:
            return
        self.was_killed = self.was_killed or code < 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if code > 0 or self._starts >= MAX_STARTS_WITHOUT_PROGRESS:
            raise DemoError(f"The worker {how}. {self._process.log} says it all; the last lines:\n{self._last_words()}")
        self._process = self._start()
        self._say(f"The worker {how}; started another (pid {self.pid}).")

    def progressed(self) -> None:
        """Note that it does its work, so that earlier deaths are forgiven."""
        self._starts = 1

    def stop(self) -> None:
        """Let it finish in order: it gives back what has not started."""
        self._process.stop(patience_seconds=STOP_SECONDS)

    def _start(self) -> ManagedProcess:
        self._starts += 1
        return ManagedProcess(self._arguments, project=places.project(), log=places.logs() / "worker.log")

    def _last_words(self) -> str:
        return self._process.last_words() or "(it said nothing)"
