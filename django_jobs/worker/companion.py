"""One more process beside the children, as the beat of `runworker --beat`: forked, replaced when it ends, stopped."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django_jobs.worker.child import prepare_signals
from django_jobs.worker.deaths import describe_status
from django_jobs.worker.processes import Tie, ended, fork, kill, wait_for

logger = logging.getLogger("django_jobs.worker")

YOUNG_SECONDS: Final = 2.0
"""One that ends within this time is replaced with growing pauses."""
LONGEST_PAUSE_SECONDS: Final = 5.0


class Companion:
    """Keeps a process running that does `main` and ends at SIGTERM. Called by the supervisor's main thread only."""

    def __init__(self, name: str, main: Callable[[], int], tie: Tie) -> None:
        self._name = name
        self._main = main
        self._tie = tie
        self._pid: int | None = None
        self._forked_at = 0.0
        self._failures = 0
        self._pause_until = 0.0
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return self._pid

    def watch(self, now: float) -> None:
        """Take in that it has ended, and start it where it should run and does not."""
        if self._pid is not None and (status := ended(self._pid)) is not None:
            self._pid = None
            if not self._stopping:
                self._ended_by_itself(status, now)
        if self._pid is None and not self._stopping and now >= self._pause_until:
            self._forked_at = now
            self._pid = fork(self._tie, self._run)
            logger.info("The %s is process %d.", self._name, self._pid)

    def stop(self) -> None:
        """Ask it to end; it is not replaced."""
        self._stopping = True
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def finish(self) -> None:
        """Kill it if it still runs, and wait for its end."""
        self._stopping = True
        if self._pid is not None:
            kill(self._pid)
            wait_for(self._pid)
            self._pid = None

    def _ended_by_itself(self, status: int, now: float) -> None:
        logger.error("The %s has ended (%s); it is replaced.", self._name, describe_status(status))
        if now - self._forked_at >= YOUNG_SECONDS:
            self._failures = 0
            return
        self._pause_until = now + min(LONGEST_PAUSE_SECONDS, 0.1 * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)

    def _run(self) -> int:
        prepare_signals()
        return self._main()
