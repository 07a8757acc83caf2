"""Two faces of JobsBackend with the habits that Django's tests expect: one only queues, one runs at once."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any, ClassVar

from django.db import connections as databases
from django.test import TransactionTestCase

from django_jobs.connections import connections
from django_jobs.django_tasks import JobsBackend
from django_jobs.testing import run_jobs

ROOT = "django.tasks"


class Tidy(JobsBackend):
    """Closes what a blocking call opened in the thread of an event loop, which ends with its test."""

    def get_result(self, result_id: str) -> Any:
        try:
            return super().get_result(result_id)
        finally:
            if _inside_a_loop():
                databases.close_all()


class Queues(Tidy):
    """Stands for DummyBackend, which keeps what was enqueued in a list."""

    _ids: ClassVar[list[str]] = []

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result: Any = super().enqueue(task, args, kwargs)
        self._ids.append(result.id)
        return result

    @property
    def results(self) -> list[Any]:
        return [self.get_result(job_id) for job_id in self._ids]

    def clear(self) -> None:
        for job_id in self._ids:
            connections.broker.cancel(job_id)
        connections.results.forget(self._ids)
        self._ids.clear()


class RunsAtOnce(Tidy):
    """Stands for ImmediateBackend: enqueues, runs what is due as a worker does, and looks again."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result: Any = super().enqueue(task, args, kwargs)
        run_jobs()
        result.refresh()
        return result


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def take_places() -> None:
    """Put both where Django's tests look for its own, and let its tests use a database."""
    importlib.import_module(f"{ROOT}.backends.dummy").DummyBackend = Queues  # type: ignore[attr-defined]
    importlib.import_module(f"{ROOT}.backends.immediate").ImmediateBackend = RunsAtOnce  # type: ignore[attr-defined]
    importlib.import_module("django.test").SimpleTestCase = TransactionTestCase  # type: ignore[attr-defined]
