"""Jobs that are cancelled while they run, and what they make of it."""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from pathlib import Path

from django_jobs import JobCancelled, current_job, job
from tests.integration.site.ledger import write


def _attempt() -> int:
    request = current_job()
    assert request is not None
    return request.attempt


@job
def sleep(key: str, seconds: float = 30) -> str:
    """Sleep, and say when the sleep was broken off."""
    write("start", key, _attempt())
    try:
        time.sleep(seconds)
    finally:
        write("left", key, _attempt())
    return key


@job
def clean_up(key: str) -> str:
    """Catch the cancel and return all the same."""
    write("start", key, _attempt())
    try:
        time.sleep(30)
    except JobCancelled:
        return "cleaned"
    return "slept"


@job
def fail_at_cleaning_up(key: str) -> None:
    write("start", key, _attempt())
    try:
        time.sleep(30)
    finally:
        raise ValueError(key)


@job
def swallow(key: str) -> None:
    """Go on whatever is raised."""
    write("start", key, _attempt())
    while True:
        try:
            time.sleep(30)
        except JobCancelled:
            write("swallowed", key, _attempt())


@job
def stuck_in_c(key: str) -> None:
    """Be where no exception reaches, and where no call is broken off by a signal."""
    write("start", key, _attempt())
    sum(repeat(0))


@job
async def sleep_async(key: str) -> str:
    write("start", key, _attempt())
    try:
        await asyncio.sleep(30)
    finally:
        write("left", key, _attempt())
    return key


@job
def look(key: str, raises: bool, gate: str) -> str:
    """Run until somebody asks for a cancel, then end by itself or wait for the gate and finish."""
    write("start", key, _attempt())
    request = current_job()
    assert request is not None
    while not request.is_cancelled:
        time.sleep(0.01)
    write("asked", key, _attempt())
    if raises:
        raise JobCancelled("as asked")
    while not Path(gate).exists():
        time.sleep(0.01)
    return "finished"


@job
def race(key: str, seconds: float) -> str:
    """Have an effect last, and take it back where the cancel comes between it and the return."""
    write("start", key, _attempt())
    try:
        time.sleep(seconds)
        write("done", key, _attempt())
        return key
    except JobCancelled:
        write("undone", key, _attempt())
        raise
