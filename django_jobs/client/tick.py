"""The job of one tick of a schedule: whether there can be one, and its message."""

from __future__ import annotations

from django_jobs.client.task import message_for
from django_jobs.core.declaration import Declaration
from django_jobs.core.message import Message
from django_jobs.core.schedule import from_us, tick_id
from django_jobs.exceptions import EnqueueError, TaskNotRegistered


def message_of(declaration: Declaration, tick_us: int) -> Message:
    """Return the message of a tick. Its id says which tick it is; its headers say so for people.

    Raises:
        TaskNotRegistered: no `@job` of this process has the task's name.
        EnqueueError: the arguments do not fit the task or cannot be carried, or an option cannot be.
    """
    headers = {"schedule": declaration.name, "scheduled_for": from_us(tick_us).isoformat()}
    options = {**declaration.options(), "task_id": tick_id(declaration.name, tick_us), "headers": headers}
    return message_for(declaration.task, declaration.args, declaration.kwargs, options)


def why_not(declaration: Declaration) -> str:
    """Return why the schedule can make no job in this process; an empty text if it can."""
    try:
        message_of(declaration, 0)
    except (TaskNotRegistered, EnqueueError) as error:
        return told(error)
    return ""


def told(error: Exception) -> str:
    """Return an error's text as far as it is about the schedule."""
    text = str(error) or type(error).__name__
    return text.removesuffix(" Nothing was enqueued.").partition(" Looked into jobs.py")[0]
