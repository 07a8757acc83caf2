"""Connections that coroutine jobs open through sync_to_async: closed in their own thread, never under a neighbour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections, transaction

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.execution.shared import SharedConnections

CLAIM = Claim(message=Message(id="job-1", task="t", queue="q", body="{}"), name=ClaimName("s", 1, 2), attempt=1)


class Thread:
    """What jobs do in the thread of their synchronous parts, with one database that is no test's transaction."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def query(self) -> int:
        with connections[self.alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            return int(cursor.fetchone()[0])

    def query_and_close(self) -> int:
        """Query and leave nothing behind: in a thread that nobody comes back to."""
        try:
            return self.query()
        finally:
            connections[self.alias].close()

    def is_open(self) -> bool:
        return connections[self.alias].connection is not None

    def grow_old(self) -> None:
        """Let the connection have reached its CONN_MAX_AGE."""
        self.query()
        connections[self.alias].close_at = 0.0

    def grow_no_older(self) -> None:
        self.query()
        connections[self.alias].close_at = None

    def lose_the_server(self) -> None:
        with suppress(DatabaseError), connections[self.alias].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    def leave_a_block_open(self) -> None:
        transaction.atomic(self.alias).__enter__()
        self.query()

    def leave_autocommit_off(self) -> None:
        transaction.set_autocommit(False, self.alias)
        self.query()

    def is_tidy(self) -> bool:
        connection = connections[self.alias]
        return not connection.in_atomic_block and connection.get_autocommit()


async def run(shared: SharedConnections, *parts: Callable[[], Awaitable[Any]]) -> None:
    """Run one coroutine job, and wait for what is seen to after it."""
    await shared.before_job(CLAIM)
    try:
        for part in parts:
            await part()
    finally:
        shared.after_job(CLAIM)
    await asyncio.gather(*shared._tidying)


@pytest.fixture
def thread(database_alias: str) -> Iterator[Thread]:
    yield Thread(database_alias)
    asyncio.run(sync_to_async(connections.close_all)())


def a(part: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Return the part as what a coroutine awaits."""
    return sync_to_async(part)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_connection_that_is_old_is_closed_once_no_coroutine_job_runs(thread: Thread) -> None:
    async def scene() -> list[bool]:
        shared = SharedConnections()
        await run(shared, a(thread.grow_no_older))
        kept = await a(thread.is_open)()
        await run(shared, a(thread.grow_old))
        return [kept, await a(thread.is_open)()]

    assert asyncio.run(scene()) == [True, False]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_stays_open_while_another_coroutine_job_runs(thread: Thread) -> None:
    async def scene() -> list[bool]:
        shared = SharedConnections()
        await shared.before_job(CLAIM)
        await run(shared, a(thread.grow_old))
        beside = await a(thread.is_open)()
        shared.after_job(CLAIM)
        await asyncio.gather(*shared._tidying)
        return [beside, await a(thread.is_open)()]

    assert asyncio.run(scene()) == [True, False]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_that_grew_old_between_jobs_is_closed_before_the_next(thread: Thread) -> None:
    async def scene() -> bool:
        shared = SharedConnections()
        await run(shared)
        await a(thread.grow_old)()
        await shared.before_job(CLAIM)
        return bool(await a(thread.is_open)())

    assert asyncio.run(scene()) is False


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_one_that_lost_its_server_is_replaced_though_other_coroutine_jobs_run(thread: Thread) -> None:
    async def scene() -> int:
        shared = SharedConnections()
        await shared.before_job(CLAIM)
        await run(shared, a(thread.lose_the_server))
        return int(await a(thread.query)())

    assert asyncio.run(scene()) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("leave", "said"),
    [
        (Thread.leave_a_block_open, "left transaction.atomic() open across an await"),
        (Thread.leave_autocommit_off, "left autocommit off"),
    ],
)
@pytest.mark.parametrize("neighbours", [0, 1])
def test_a_transaction_that_a_job_leaves_open_is_rolled_back(
    thread: Thread, leave: Callable[[Thread], None], said: str, neighbours: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> bool:
        shared = SharedConnections()
        for _ in range(neighbours):
            await shared.before_job(CLAIM)
        await run(shared, sync_to_async(lambda: leave(thread)))
        return bool(await a(thread.is_tidy)())

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(scene()) is True

    assert said in caplog.text
    assert "job-1" in caplog.text


def test_jobs_that_open_nothing_never_visit_the_thread() -> None:
    async def scene() -> int:
        shared = SharedConnections()
        await run(shared)
        visits = 0
        for _ in range(100):
            await shared.before_job(CLAIM)
            shared.after_job(CLAIM)
            visits += len(shared._tidying)
        return visits

    assert asyncio.run(scene()) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_connections_of_other_threads_are_not_its_business(thread: Thread) -> None:
    async def scene() -> int:
        shared = SharedConnections()
        await run(shared)
        before = len(shared._opened)
        await run(shared, sync_to_async(thread.query_and_close, thread_sensitive=False))
        return len(shared._opened) - before

    assert asyncio.run(scene()) == 0
