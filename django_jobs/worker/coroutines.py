"""The thread of a child on whose loop coroutine jobs run."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from django_jobs.worker.processes import EXIT_BROKEN
from django_jobs.worker.settle import HeldClaim

logger = logging.getLogger("django_jobs.worker")

Run = Callable[[HeldClaim], Coroutine[Any, Any, None]]


class Coroutines:
    """One event loop in a thread of its own, started with the first coroutine job."""

    def __init__(self, run: Run, is_doomed: Callable[[int], bool]) -> None:
        self._run = run
        self._is_doomed = is_doomed
        """Says whether the job at a place is to end."""
        self.inside: set[int] = set()
        """Places of jobs whose coroutine is being awaited; elsewhere a cancel would hit what is ours."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """By the place of the job in the table of its child."""

    def submit(self, held: HeldClaim) -> None:
        """Hand a started job to the loop; returns at once. One thread at a time may call this first."""
        if self._loop is None:
            self._loop = self._start()
        self._loop.call_soon_threadsafe(self._spawn, held)

    def cancel(self) -> None:
        """Cancel every job on the loop, from any thread; returns at once."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_all)

    def cancel_one(self, place: int) -> None:
        """Cancel the job at this place, if it is on the loop, once; from any thread, also inside of a signal."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_at, place)

    def _cancel_at(self, place: int) -> None:
        task = self._tasks.get(place)
        if task is not None and place in self.inside and not task.cancelling() and self._is_doomed(place):
            task.cancel()

    def _cancel_all(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _spawn(self, held: HeldClaim) -> None:
        task = asyncio.get_running_loop().create_task(self._run(held))
        self._tasks[held.index] = task  # the loop itself holds tasks weakly
        task.add_done_callback(partial(self._ended, held.index))

    def _ended(self, place: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(place) is task:  # the place may be another job's already
            del self._tasks[place]
        if not task.cancelled() and (error := task.exception()) is not None:
            # An error of ours: nobody would ever hand in that job, and its place would stay taken.
            logger.critical("A coroutine of the worker has failed; the process is replaced.", exc_info=error)
            os._exit(EXIT_BROKEN)

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="django_jobs-coroutines", daemon=True).start()
        return loop
