"""The log lines of a job that asks to keep them: the newest ones, handed to the broker with its progress."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from django_jobs.core.progress import MAX_LOG_LINES, log_line
from django_jobs.execution.context import Request
from django_jobs.execution.progress import tell


class JobLog:
    """The lines of one run."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._lines: deque[str] = deque(maxlen=MAX_LOG_LINES)

    def add(self, line: str) -> None:
        """Keep one line more; the oldest falls out."""
        self._lines.append(log_line(line))
        tell(self._request.worker, self._request.id, self._request.attempt, {"log": tuple(self._lines)})


_current: ContextVar[JobLog | None] = ContextVar("django_jobs_log", default=None)


class _Handler(logging.Handler):
    """Gives each record to the job in whose context it was made, if that keeps its lines."""

    def emit(self, record: logging.LogRecord) -> None:
        log = _current.get()
        if log is not None:
            try:
                log.add(self.format(record))
            except Exception:  # noqa: BLE001  as every handler does: a log line must not fail what it is about
                self.handleError(record)


_handler: Final = _Handler()
_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))


@contextmanager
def keeping_log(request: Request) -> Iterator[None]:
    """Keep what is logged in this context, on the root logger and on those that hand their records on to it."""
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)
    token = _current.set(JobLog(request))
    try:
        yield
    finally:
        _current.reset(token)
