"""Jobs that live, wait, fail and die, and say so in the ledger."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from django.db import connection

from django_jobs import current_job, job
from tests.integration.site import atomic, cancelled, followed, limited, telling  # noqa: F401  declare tasks
from tests.integration.site.ledger import write


def _attempt() -> int:
    request = current_job()
    assert request is not None
    return request.attempt


@job
def note(key: str) -> str:
    write("ran", key, _attempt())
    return key


@job(concurrency=3)
def spend_three(key: str, seconds: float) -> str:
    return spend(key, seconds)


@job(rate_limit="20/s")
def note_paced(key: str) -> str:
    return note(key)


@job(unique=True)
def note_once(key: str) -> str:
    return note(key)


@job
def spend(key: str, seconds: float) -> str:
    write("start", key, _attempt())
    time.sleep(seconds)
    write("end", key, _attempt())
    return key


@job
def hold(key: str, gate: str) -> int:
    """Run until the file `gate` exists."""
    write("start", key, _attempt())
    while not Path(gate).exists():
        time.sleep(0.01)
    write("end", key, _attempt())
    return os.getpid()


@job(acks_late=False)
def hold_once(key: str, gate: str) -> int:
    return hold(key, gate)


@job
async def hold_async(key: str, gate: str) -> int:
    """Run until the file `gate` exists, on the loop."""
    write("start", key, _attempt())
    while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240  a file is what another process can make
        await asyncio.sleep(0.01)
    write("end", key, _attempt())
    return os.getpid()


@job
def stubborn(key: str, gate: str) -> None:
    """Let nothing stop it but the gate or SIGKILL."""
    write("start", key, _attempt())
    while not Path(gate).exists():
        try:
            time.sleep(0.01)
        except BaseException:  # noqa: BLE001
            write("swallowed", key, _attempt())


@job
def kill_yourself(key: str) -> None:
    write("start", key, _attempt())
    os.kill(os.getpid(), signal.SIGKILL)


@job
def segfault(key: str) -> None:
    write("start", key, _attempt())
    ctypes.string_at(0)


@job
def leave(key: str) -> None:
    write("start", key, _attempt())
    os._exit(0)


@job(retry_on=(ValueError,), max_retries=2, default_retry_delay=0.3)
def flaky(key: str) -> None:
    write("start", key, _attempt())
    raise ValueError(key)


@job
def fail(text: str) -> None:
    raise RuntimeError(text)


@job(bind=True, max_retries=1)
def asks_again(self: Any, key: str) -> int:
    write("start", key, self.request.attempt)
    if self.request.retries == 0:
        self.retry(countdown=0.05)
    return int(self.request.retries)


@job
async def coroutine(key: str, seconds: float) -> str:
    write("start", key, _attempt())
    await asyncio.sleep(seconds)
    write("end", key, _attempt())
    return threading.current_thread().name


@job
async def meet(key: str, parties: int) -> int:
    """End once `parties` of these run at the same time in one process."""
    _present.add(key)
    most = 0
    while most < parties:
        most = max(most, len(_present))
        await asyncio.sleep(0.005)
    write("met", key, _attempt())
    return os.getpid()


_present: set[str] = set()
_barriers: dict[int, threading.Barrier] = {}
_barriers_lock = threading.Lock()


@job
def meet_in_threads(parties: int) -> int:
    """End once `parties` of these run at the same time in one process."""
    with _barriers_lock:
        barrier = _barriers.setdefault(parties, threading.Barrier(parties))
    barrier.wait(20)
    return os.getpid()


@job
def grow(mebibytes: int) -> int:
    _kept.append(b"x" * (mebibytes * 1024 * 1024))
    return os.getpid()


_kept: list[bytes] = []


@job
def sleep_in_database(key: str, seconds: float) -> int:
    """Wait for an answer of PostgreSQL, over Django's connection."""
    write("start", key, _attempt())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])
    write("end", key, _attempt())
    return os.getpid()


@job
def where() -> int:
    return os.getpid()


if "LATE_TASK" in os.environ:

    @job(name=os.environ["LATE_TASK"])
    def late(key: str) -> str:
        write("ran", key, _attempt())
        return key
