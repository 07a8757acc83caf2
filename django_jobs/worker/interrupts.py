"""Where the main thread is when a signal comes: inside the function of which job, if of any.

Found by walking the stack, so that a job which nobody interrupts pays nothing.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Final

from django_jobs.execution.executor import Executor
from django_jobs.execution.limits import Limits

RUN: Final = Executor.run.__code__


def place_inside(frame: FrameType | None, limits: Limits) -> int | None:
    """Return the place of the job inside whose function `frame` is, among those that `limits` are kept for.

    None between jobs, and in what is ours around a function: an exception raised there would hit the worker. Also for
    a function that is not written in Python.
    """
    inside: set[CodeType] = set()
    while frame is not None:
        if frame.f_code is RUN and frame.f_locals["self"].limits is limits:  # a job may run another one at the call
            function = frame.f_locals["plan"].function
            place: int = frame.f_locals["place"]
            return place if getattr(function, "__code__", None) in inside else None
        inside.add(frame.f_code)
        frame = frame.f_back
    return None
