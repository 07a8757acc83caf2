"""How a worker's log lines look: text for people, or one JSON object per line with fixed keys."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TextIO

JOB_KEYS: Final = ("job_id", "task", "queue", "attempt", "duration_ms", "wait_ms", "outcome", "worker")


class LogFormat(StrEnum):
    """The values of --log-format."""

    TEXT = "text"
    JSON = "json"


class TextFormatter(logging.Formatter):
    """Local time with milliseconds, level, text."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._clock = ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # strftime costs more than all the rest of the line
            self._clock = time.strftime("%H:%M:%S", time.localtime(second))
            self._second = second
        text = f"{self._clock}.{int(record.msecs):03d} {record.levelname:<7} {record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return text


class JsonFormatter(logging.Formatter):
    """One object per line: time (UTC), level, logger, message, and the keys of a job where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key in JOB_KEYS:
            if hasattr(record, key):
                line[key] = getattr(record, key)
        for key, value in getattr(record, "fields", {}).items():
            line.setdefault(key, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(log_format: LogFormat, *, verbosity: int, stream: TextIO | None = None) -> None:
    """Make the worker's lines visible; what the project's LOGGING says about `django_jobs` stays as it is.

    `verbosity` 0 shows warnings and errors only, 3 shows debug lines.
    """
    logger = logging.getLogger("django_jobs")
    if log_format is LogFormat.TEXT and logger.hasHandlers():
        handler = None
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
        handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
        logger.addHandler(handler)
        logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel({0: logging.WARNING, 3: logging.DEBUG}.get(verbosity, logging.INFO))
