"""How stored text is shown in the admin: escaped, with its lines kept, without a style of its own."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
from django.template.loader import render_to_string
from django.utils import dateformat, timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from django_jobs.admin.frames import read_traceback
from django_jobs.core import attempts as attempt_list
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.schedule import from_us

EMPTY = "-"
STAMP = "Y-m-d H:i:s"


def block(text: str) -> SafeString | str:
    """Return `text` in a block that keeps its lines and spaces."""
    return format_html('<pre class="jobs-text">{}</pre>', text) if text else EMPTY


def inline(text: str) -> SafeString | str:
    """Return `text` so that marks of writing direction in it do not reach what stands beside it."""
    return format_html("<bdi>{}</bdi>", text) if text else EMPTY


def pretty_json(text: str) -> SafeString | str:
    """Return JSON text indented; what is not JSON, as it is."""
    if not text:
        return EMPTY
    try:
        return block(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return block(text)


def plain_json(values: Any) -> SafeString | str:
    """Return plain values as indented JSON."""
    return pretty_json(msgspec.json.encode(values).decode()) if values else EMPTY


def moment(microseconds: int | None) -> str:
    """Return an instant in microseconds since 1970 in the reader's time zone, to the second."""
    return EMPTY if microseconds is None else stamp(from_us(microseconds))


def stamp(instant: datetime | None) -> str:
    """Return an instant in the reader's time zone, to the second; a naive one, under USE_TZ=False, as it is."""
    if instant is None:
        return EMPTY
    try:
        local = timezone.localtime(instant) if timezone.is_aware(instant) else instant
    except OverflowError:  # the last hours of the year 9999, which east of UTC are none
        local = instant
    return dateformat.format(local, STAMP)


def badge(state: str, label: str | Promise) -> SafeString:
    """Return a state as a word with its sign and colour, which the style sheet knows by the state's name."""
    return format_html('<span class="jobs-state jobs-state-{}">{}</span>', state, label)


def duration(seconds: float | None) -> str:
    """Return a duration in seconds to the millisecond; a clock that was put back counts as none."""
    return EMPTY if seconds is None else f"{max(0.0, seconds):.3f} s"


def traceback(text: str) -> SafeString | str:
    """Return a traceback with the project's own frames open and those of libraries folded."""
    if not text:
        return EMPTY
    context = {"parts": read_traceback(text), "text": text}
    return mark_safe(render_to_string("admin/django_jobs/includes/traceback.html", context))  # noqa: S308  escaped there


def attempts(text: str) -> SafeString | str:
    """Return the failed and crashed attempts of a job, oldest first."""
    try:
        records = attempt_list.load(text)
    except (msgspec.DecodeError, RecursionError):
        return block(text)
    if not records:
        return EMPTY
    context = {"attempts": [_attempt(record) for record in records]}
    return mark_safe(render_to_string("admin/django_jobs/includes/attempts.html", context))  # noqa: S308  escaped there


def _attempt(record: AttemptRecord) -> dict[str, Any]:
    has_both = record.started_us is not None and record.ended_us is not None
    took = (record.ended_us - record.started_us) / 1_000_000 if has_both else None  # type: ignore[operator]  # both are there
    return {
        "record": record,
        "ended": moment(record.ended_us),
        "took": duration(took),
        "traceback": traceback(record.traceback) if record.traceback else "",
    }
