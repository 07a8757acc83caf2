"""What people did with jobs and schedules, kept in the admin's own log."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest


def record(request: HttpRequest, rows: Sequence[Model], text: str) -> None:
    """Note for each of `rows` that this user did what `text` says; rows need a key and a name, and no table.

    The text is stored as it is, so it is not translated.
    """
    # Users are told apart by their key alone: a project may have a model of its own for them.
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=text)  # type: ignore[arg-type]


def was_recorded(request: HttpRequest, row: Model, text: str) -> bool:
    """Say whether this user did this already."""
    entries = LogEntry.objects.filter(object_id=str(row.pk), change_message=text)
    return entries.filter(user_id=str(request.user.pk)).exists()
