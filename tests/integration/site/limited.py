"""Jobs that reach their limits of time, each in its own way."""

from __future__ import annotations

import asyncio
import ctypes
import time

from django_jobs import SoftTimeLimitExceeded, TimeLimitExceeded, current_job, job
from tests.integration.site.ledger import write


def _note(event: str, key: str) -> None:
    request = current_job()
    assert request is not None
    write(event, key, request.attempt)


@job(soft_time_limit=0.4)
def cleans_up(key: str) -> str:
    _note("start", key)
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        _note("cleaned", key)
        return "cleaned"
    return "slept"


@job(soft_time_limit=0.4)
def outlasts_softly(key: str) -> None:
    _note("start", key)
    time.sleep(30)


@job(time_limit=1)
def outlasts(key: str) -> None:
    _note("start", key)
    time.sleep(30)


@job(soft_time_limit=0.3, time_limit=1)
def swallows(key: str) -> None:
    """Let no exception stop it."""
    _note("start", key)
    while True:
        try:
            time.sleep(0.01)
        except BaseException:  # noqa: BLE001
            _note("swallowed", key)


@job(time_limit=1)
def stuck_in_c(key: str) -> None:
    """Lock a mutex twice, with the GIL held: no signal handler of Python's runs any more."""
    _note("start", key)
    library = ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


@job(time_limit=0.3, retry_on=(TimeLimitExceeded,), max_retries=1, default_retry_delay=0.05)
def retried_after_the_kill(key: str) -> str:
    _note("start", key)
    request = current_job()
    if request is not None and request.retries == 0:
        time.sleep(30)
    return "second"


@job(soft_time_limit=0.3)
async def cancelled_softly(key: str) -> None:
    _note("start", key)
    try:
        await asyncio.sleep(30)
    finally:
        _note("cleaned", key)


@job(time_limit=0.5)
async def blocks_the_loop(key: str) -> None:
    _note("start", key)
    time.sleep(30)  # noqa: ASYNC251  the fault that only a hard limit ends


@job(soft_time_limit=30, time_limit=60)
def quick(key: str) -> str:
    return key


@job(rate_limit="2/s")
def twice_a_second(key: str) -> str:
    _note("start", key)
    return key


@job
def unlimited(key: str, seconds: float) -> str:
    _note("start", key)
    time.sleep(seconds)
    return key


@job(time_limit=0.3, acks_on_failure_or_timeout=False, default_retry_delay=0.05)
def comes_back(key: str) -> str:
    """Be killed at the limit, then fail, then succeed."""
    _note("start", key)
    request = current_job()
    assert request is not None
    if request.retries == 0:
        time.sleep(30)
    if request.retries == 1:
        raise ValueError(key)
    return "third"
