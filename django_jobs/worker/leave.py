"""Why a child ends, and the limits that make it end: jobs, memory."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from enum import IntEnum
from typing import Final

from django_jobs.worker.layout import Word
from django_jobs.worker.slots import Shared

if sys.platform != "win32":
    import resource

logger = logging.getLogger("django_jobs.worker")

MEMORY_CHECK_SECONDS: Final = 0.1


class Leave(IntEnum):
    """A child's reasons to end, as exit codes."""

    STOPPING = 0
    RECYCLED = 64
    """It ran its jobs or outgrew its memory: replace it."""
    DRAINED = 65
    """--burst: nothing is due any more."""
    ENOUGH = 66
    """--max-jobs are started, over all children."""
    DISMISSED = 67
    """Fewer children are wanted."""


class Quota:
    """Counts started jobs of one child against its limits; None is no limit, memory is in MiB."""

    def __init__(self, *, max_jobs: int | None, max_jobs_per_child: int | None, max_memory_mib: int | None) -> None:
        self._max_jobs = max_jobs
        self._max_jobs_per_child = max_jobs_per_child
        self._max_memory_mib = max_memory_mib
        self._started = 0
        self._lock = threading.Lock()
        self._checked_at = 0.0
        self.leave: Leave = Leave.RECYCLED
        """What `take` being False means."""
        self.reached: Leave | None = None
        """Set once a limit is reached."""

    def take(self, shared: Shared) -> bool:
        """Count a job that is about to start; False when none may start any more."""
        limit = self._max_jobs_per_child
        if limit is not None:
            with self._lock:
                if self._started >= limit:
                    return False
                self._started += 1
                if self._started == limit:
                    self.reached = Leave.RECYCLED
                    logger.debug("Child process %d has started %d jobs, its limit: it is replaced.", os.getpid(), limit)
        if self._max_jobs is not None and not shared.take_ticket(self._max_jobs):
            self.leave = self.reached = Leave.ENOUGH
            return False
        return True

    def left(self, shared: Shared, in_line: int) -> int:
        """Return how many more jobs may be claimed beside those that are in line."""
        left = 1_000_000
        if self._max_jobs_per_child is not None:
            left = self._max_jobs_per_child - self._started - in_line
        if self._max_jobs is not None:
            left = min(left, self._max_jobs - shared.words[Word.JOBS_STARTED] - in_line)
        return left

    def check(self, shared: Shared) -> Leave | None:
        """Return why this child is to end, if a limit is reached by it or by all children together."""
        if self._max_jobs is not None and shared.words[Word.JOBS_STARTED] >= self._max_jobs:
            self.reached = self.reached or Leave.ENOUGH
        return self.reached

    def check_memory(self) -> None:
        """Reach the limit when the process has outgrown it; looks at most every 0.1 s."""
        if self._max_memory_mib is None:
            return
        now = time.monotonic()
        if now - self._checked_at < MEMORY_CHECK_SECONDS:
            return
        self._checked_at = now
        mebibytes = resident_bytes(os.getpid()) / 2**20
        if mebibytes <= self._max_memory_mib:
            return
        with self._lock:
            if self.reached is None:
                self.reached = Leave.RECYCLED
                logger.info(
                    "Child process %d has grown to %.0f MiB (the limit is %d): it is replaced when its jobs end.",
                    os.getpid(),
                    mebibytes,
                    self._max_memory_mib,
                )


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; where /proc is missing, the peak of our own, else 0."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        if sys.platform == "win32" or pid != os.getpid():
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
