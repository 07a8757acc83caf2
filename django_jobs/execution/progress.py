"""What running jobs say about themselves, on its way to the broker: at most once a second, and the last word always."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from django_jobs.core.progress import Progress, encode_progress
from django_jobs.exceptions import BrokerError

logger = logging.getLogger("django_jobs.worker")

PERIOD_SECONDS: Final = 1.0
Note = tuple[str, int, str]
"""Job id, attempt, JSON text of a Progress."""


class Progresses:
    """The words of all jobs of one process. With a thread nobody waits for the broker but a job at its end."""

    def __init__(self, write: Callable[[Sequence[Note]], Any], *, threaded: bool = True) -> None:
        self._write = write
        self._threaded = threaded
        self.said: dict[str, tuple[int, Progress]] = {}
        """What each job that still runs has said last, with its attempt."""
        self._unwritten: set[str] = set()
        self._written_at = float("-inf")
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, job_id: str, attempt: int, changes: dict[str, Any]) -> None:
        """Take in what a job says: each word changes what it has said before in this attempt."""
        with self._lock:
            before = self.said.get(job_id)
            last = before[1] if before is not None and before[0] == attempt else Progress()
            self.said[job_id] = attempt, msgspec.structs.replace(last, **changes, at_us=time.time_ns() // 1000)
            self._unwritten.add(job_id)
        if not self._threaded:
            if time.monotonic() - self._written_at >= PERIOD_SECONDS:
                self._flush()
            return
        self._news.set()
        if self._thread is None:
            self._start()

    def end(self, job_id: str) -> None:
        """Write the last word of a job that is about to be settled, and forget it."""
        if job_id in self._unwritten:
            self._flush()
        with self._lock:
            self.said.pop(job_id, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="django_jobs-progress", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            time.sleep(max(0.0, self._written_at + PERIOD_SECONDS - time.monotonic()))
            self._flush()

    def _flush(self) -> None:
        with self._write_lock:
            with self._lock:
                notes = [
                    (job_id, attempt, encode_progress(progress))
                    for job_id, (attempt, progress) in self.said.items()
                    if job_id in self._unwritten
                ]
                self._unwritten.clear()
            if not notes:
                return
            self._written_at = time.monotonic()
            try:
                self._write(notes)
            except BrokerError as error:  # the next word makes up for it
                logger.debug("The progress of %d jobs was not written: %s", len(notes), error)


_by_worker: dict[str, Progresses] = {}


def tell(worker: str, job_id: str, attempt: int, changes: dict[str, Any]) -> None:
    """Hand what a job says to its worker; a job that runs at the call has nobody to tell."""
    if (progresses := _by_worker.get(worker)) is not None:
        progresses.tell(job_id, attempt, changes)


@contextmanager
def listening(worker: str, progresses: Progresses) -> Iterator[None]:
    """Take in what jobs say that run in this process under the name of `worker`."""
    _by_worker[worker] = progresses
    try:
        yield
    finally:
        del _by_worker[worker]
