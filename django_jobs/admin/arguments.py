"""What the admin shows of a job's call. Each page takes it from here and from nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django_jobs.core.message import decode_body
from django_jobs.exceptions import InvalidMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCall:
    """A call as people see it; values are plain JSON."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    parent_id: str = ""
    unread: str = ""
    """The stored text where this version cannot read it."""


def shown_call(task: str, body: str) -> ShownCall:
    """Return what may be shown of a call of `task`: the one place that decides it."""
    try:
        read = decode_body(body)
    except InvalidMessage:
        return ShownCall(unread=body)
    return ShownCall(
        args=list(read.args), kwargs=dict(read.kwargs), headers=dict(read.headers), parent_id=read.parent_id or ""
    )
