"""Pausing and resuming queues and tasks from the admin, and saying what is paused."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_jobs.admin import show
from django_jobs.admin.audit import record
from django_jobs.client import pausing
from django_jobs.connections import connections
from django_jobs.core.outcome import JobView
from django_jobs.core.pause import BY_MAX_LENGTH, Pause, Pauses, Target
from django_jobs.core.states import State
from django_jobs.exceptions import BrokerError
from django_jobs.models import Pause as PauseRow


def change(request: HttpRequest, target: Target, *, pauses: bool) -> tuple[str, int]:
    """Pause or resume as this user; return what to tell, and its level."""
    try:
        if pauses:
            by = request.user.get_username()
            changed = pausing.pause(target, reason=request.POST.get("reason", ""), by=by[:BY_MAX_LENGTH])
        else:
            changed = pausing.resume(target)
    except (BrokerError, ValueError) as error:
        return str(error), messages.ERROR
    names = {"name": target.name}
    if not changed:
        text = _("“%(name)s” was paused before.") if pauses else _("“%(name)s” was not paused (any more).")
        return text % names, messages.WARNING
    record(request, [PauseRow(target=str(target))], "Paused." if pauses else "Resumed.")
    if pauses:
        text = _("“%(name)s” is paused: no more jobs of it are claimed. Those that are claimed go on.")
    else:
        text = _("“%(name)s” goes on.")
    return text % names, messages.SUCCESS


def note_on(view: JobView, pauses: Pauses) -> str:
    """Say that a waiting job is paused; an empty text where it is not."""
    pause = None if view.state is State.RUNNING else pauses.on(queue=view.queue, task=view.task)
    if pause is None:
        return ""
    kind = (
        _("waits: its queue is paused %(since)s") if pause.kind == "queue" else _("waits: its task is paused %(since)s")
    )
    return kind % {"since": since(pause)}


def since(pause: Pause) -> str:
    """Say since when, by whom and why something is paused."""
    text = _("since %(moment)s") % {"moment": show.moment(pause.since_us)}
    if pause.by:
        text = _("%(since)s, by %(name)s") % {"since": text, "name": pause.by}
    return f"{text}: {pause.reason}" if pause.reason else text


def read_pauses() -> Pauses:
    """Return what is paused.

    Raises:
        BrokerError: it cannot be asked.
    """
    return Pauses(connections.broker.paused())
