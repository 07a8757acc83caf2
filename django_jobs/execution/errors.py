"""An exception as text that every store can keep: guarded, cleaned, without our own frames and without locals."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

from django_jobs.core.attempts import MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS, AttemptRecord
from django_jobs.core.claim import Claim
from django_jobs.core.outcome import ErrorInfo
from django_jobs.core.serializer import clean_text

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def describe(error: BaseException) -> ErrorInfo:
    """Return what is stored of `error`; a `__str__` of the caller's own may raise, NUL and lone surrogates go."""
    return ErrorInfo(
        error_class=class_name(type(error)),
        message=clean_text(_message(error)[:MAX_MESSAGE_CHARS]),
        traceback=clean_text(_traceback(error)[-MAX_TRACEBACK_CHARS:]),
    )


def attempt_record(
    claim: Claim, cause: str, info: ErrorInfo, worker: str, started_us: int, ended_us: int, call: str = ""
) -> AttemptRecord:
    """Return what is kept of a run that an error has left."""
    return AttemptRecord(
        attempt=claim.attempt,
        cause=cause,
        started_us=started_us,
        ended_us=ended_us,
        worker=worker,
        error_class=info.error_class,
        message=info.message,
        traceback=info.traceback,
        call=call,
    )


def class_name(kind: type[BaseException]) -> str:
    """Return the dotted name of an exception class; builtins go without their module."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return clean_text(f"{kind.__module__}.{kind.__qualname__}")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  __str__ of the caller's own may do anything
        return f"<{type(error).__qualname__}: its __str__ raised {type(broken).__name__}>"


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.TracebackException(
            type(error), error, _first_foreign(error.__traceback__), capture_locals=False, compact=True
        ).format()
        return "".join(lines)
    except Exception as broken:  # noqa: BLE001  notes, causes and source lines of the caller's own may do anything, too
        return f"<the traceback could not be written: {type(broken).__name__}>\n"


def _first_foreign(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames of this package at the top: they are the same for every job."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        trace = trace.tb_next
    return trace
