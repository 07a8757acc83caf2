"""One call of a job's function, decoded and ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django_jobs.core.options import TaskOptions
from django_jobs.execution.context import Request


class Call(NamedTuple):
    """What a job's function is called with, and under which options."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    options: TaskOptions
    request: Request
    carried: Mapping[str, Any] | None
    """The context that came with the job (see `carry`), still plain JSON; None for none."""
    is_plain: bool
    """Whether there is nothing around the function (see `surroundings`)."""
