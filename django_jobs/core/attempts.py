"""The list of failed and crashed attempts that a job carries with it, bounded."""

from __future__ import annotations

import msgspec

MAX_ENTRIES = 20
MAX_MESSAGE_CHARS = 8 * 1024
MAX_TRACEBACK_CHARS = 64 * 1024
FAILURE_CAUSES = frozenset({"failure", "time limit"})
"""The causes of runs that count as failures."""
TRACEBACKS_KEPT = 3
"""Only the newest so many keep their traceback."""


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt that did not succeed. Times are microseconds since 1970, UTC."""

    attempt: int
    cause: str
    """failure, crash, session death, interrupted, ..."""
    started_us: int | None = None
    ended_us: int | None = None
    worker: str = ""
    error_class: str = ""
    message: str = ""
    traceback: str = ""
    call: str = ""
    """JSON text of [args, kwargs] for the runs that follow, where this one changed them; only the newest is kept."""


_decoder = msgspec.json.Decoder(list[AttemptRecord])
_encoder = msgspec.json.Encoder()


def append(attempts: str, record: AttemptRecord) -> str:
    """Return the JSON text with `record` at its end; an attempt that is there already is replaced.

    The oldest entries fall out first, but the very first stays: it says how it all began.
    """
    entries = load(attempts)
    call = record.call or next((entry.call for entry in reversed(entries) if entry.call), "")
    entries = [
        msgspec.structs.replace(entry, call="") if entry.call else entry
        for entry in entries
        if entry.attempt != record.attempt
    ]
    entries.append(
        msgspec.structs.replace(
            record,
            call=call,
            message=record.message[:MAX_MESSAGE_CHARS],
            traceback=record.traceback[-MAX_TRACEBACK_CHARS:],
        )
    )
    if len(entries) > MAX_ENTRIES:
        entries = [entries[0], *entries[len(entries) - MAX_ENTRIES + 1 :]]
    older = len(entries) - TRACEBACKS_KEPT
    entries = [
        msgspec.structs.replace(entry, traceback="") if index < older and entry.traceback else entry
        for index, entry in enumerate(entries)
    ]
    return _encoder.encode(entries).decode()


def changed_call(attempts: str) -> str:
    """Return the JSON text of [args, kwargs] that a retry has put in the place of the message's own; empty for none."""
    # What looks like it inside of a string has a backslash before the quote.
    if '"call":' not in attempts:
        return ""
    return next((entry.call for entry in reversed(load(attempts)) if entry.call), "")


def elapsed_seconds(attempts: str, *, failures: int, started_us: int | None, now_us: int) -> float:
    """Return the seconds since the first of the last `failures` failed runs began, or since `started_us`."""
    failed = [entry.started_us for entry in load(attempts) if entry.cause in FAILURE_CAUSES] if failures else []
    first_us = failed[-failures] if failures <= len(failed) and failed else failed[0] if failed else started_us
    return 0.0 if first_us is None else max(0.0, (now_us - first_us) / 1_000_000)


def load(attempts: str) -> list[AttemptRecord]:
    """Read the JSON text; empty text is an empty list."""
    return _decoder.decode(attempts) if attempts else []
