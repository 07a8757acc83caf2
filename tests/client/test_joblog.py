"""What a job logs, where its task keeps it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_jobs.core.progress import MAX_LOG_LINES
from django_jobs.testing import run_jobs
from tests.client.conftest import Declare, Stores

pytestmark = pytest.mark.django_db
logger = logging.getLogger("shop.orders")


def log_and_fail(count: int) -> None:
    for number in range(count):
        logger.warning("line %d", number)
    raise ValueError


async def log_later(count: int) -> None:
    logger.warning("line %d", count)


def enqueue(declare: Declare, function: Any, count: int, **options: Any) -> Any:
    return declare(function, **options).apply_async((count,), on_commit=False)


def test_the_lines_of_a_failed_job_are_kept(stores: Stores, declare: Declare) -> None:
    result = enqueue(declare, log_and_fail, 2, keep_logs=True)
    run_jobs()
    logger.warning("outside of the job")

    assert result.failed()
    assert [line.split(" ", 2)[2] for line in result.logs] == [
        "WARNING shop.orders: line 0",
        "WARNING shop.orders: line 1",
    ]


def test_a_coroutine_keeps_its_lines(stores: Stores, declare: Declare) -> None:
    result = enqueue(declare, log_later, 7, keep_logs=True)
    run_jobs()
    assert [line.rpartition(": ")[2] for line in result.logs] == ["line 7"]


def test_only_so_many_lines_are_kept_and_long_ones_are_cut(stores: Stores, declare: Declare) -> None:
    def log_much(count: int) -> None:
        for number in range(count):
            logger.warning("line %d %s", number, "x" * 1000)

    result = enqueue(declare, log_much, MAX_LOG_LINES + 50, keep_logs=True)
    run_jobs()

    assert len(result.logs) == MAX_LOG_LINES
    assert "line 50 x" in result.logs[0]
    assert max(map(len, result.logs)) == 503


def test_without_the_option_nothing_is_kept(stores: Stores, declare: Declare) -> None:
    result = enqueue(declare, log_and_fail, 2)
    run_jobs()
    assert (result.logs, result.progress) == ([], None)


def test_a_line_that_cannot_be_made_fails_no_job(stores: Stores, declare: Declare, monkeypatch: Any) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def log_badly(count: int) -> str:
        logger.warning("line %d", "no number")
        return "done"

    result = enqueue(declare, log_badly, 1, keep_logs=True)
    run_jobs()
    assert result.get(timeout=0) == "done"
