"""The database connections of coroutine jobs: opened in the one thread to which asgiref sends their synchronous parts.

All coroutine jobs of a process share them, so that one job may be between two queries when another one ends: a
connection that has only grown old is closed once no coroutine job runs. Connections that a job opens in other
threads (`asyncio.to_thread`, `thread_sensitive=False`) are its own affair, as in Django's async views.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_jobs.core.claim import Claim
from django_jobs.execution import hygiene

logger = logging.getLogger("django_jobs.worker")


class SharedConnections:
    """Used by the loop's thread only. Costs a job nothing but a look, unless there is something to close."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._opened: list[BaseDatabaseWrapper] = []
        self._running = 0
        self._tidying: set[asyncio.Task[None]] = set()

    async def before_job(self, claim: Claim) -> None:
        """Close what has become unusable since the last job, and count the one that is about to start."""
        if self._thread is None:
            await self._find_thread()
        if self._opened and not self._running:
            for connection in self._opened:
                connection.queries_log.clear()
                connection.health_check_done = False  # type: ignore[attr-defined]  # the stubs do not know it
            if self._is_untidy():
                await self._tidy(claim)
        self._running += 1

    def after_job(self, claim: Claim) -> None:
        """Count off a job that has ended, and see to what it left open; returns at once."""
        self._running -= 1
        if self._opened and self._is_untidy():
            task = asyncio.get_running_loop().create_task(self._tidy(claim))
            self._tidying.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tidying.discard)

    def _is_untidy(self) -> bool:
        """Say whether a connection is worth a visit to its thread; one that is at work may prove tidy there."""
        now = time.monotonic()
        for connection in self._opened:
            if connection.connection is None:
                continue
            if connection.errors_occurred or connection.in_atomic_block or hygiene.lost_autocommit(connection):
                return True
            if not self._running and connection.close_at is not None and now >= connection.close_at:
                return True
        return False

    async def _tidy(self, claim: Claim) -> None:
        # Inside that thread nothing of a job runs at that moment: what is open there was left open.
        try:
            await sync_to_async(hygiene.tidy_shared)(claim, is_shared=lambda: self._running > 0)
        except Exception:  # the driver's own errors: what cannot be closed is seen to be unusable by its next user
            logger.warning("Closing a connection of coroutine jobs failed.", exc_info=True)

    async def _find_thread(self) -> None:
        thread, opened = await sync_to_async(_here)()
        if self._thread is None:
            self._thread = thread
            self._opened.extend(opened)
            connection_created.connect(self._on_created)

    def _on_created(self, *, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if threading.get_ident() == self._thread and not any(known is connection for known in self._opened):
            self._opened.append(connection)


def _here() -> tuple[int, list[BaseDatabaseWrapper]]:
    return threading.get_ident(), list(connections.all(initialized_only=True))
