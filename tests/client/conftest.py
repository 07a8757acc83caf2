"""Fixtures for the client: stores in memory, and tasks that are forgotten after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from django_jobs import job
from django_jobs.backends.memory import MemoryBroker, MemoryResultStore, MemoryStore
from django_jobs.client.task import Task
from django_jobs.connections import connections
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.outcome import ErrorInfo, Kind, Outcome
from django_jobs.registry import registry


@dataclass
class Stores:
    """The stores of one test, and what a worker would do with them."""

    broker: MemoryBroker
    results: MemoryResultStore
    claims: int = 0

    def claim(self, queue: str = "default") -> Claim:
        """Claim the next job of `queue`."""
        self.claims += 1
        want = Want(name=ClaimName("test", 1, self.claims), queues=(queue,), limit=1)
        (claim,) = self.broker.exchange((), want).claims
        return claim

    def settle(self, claim: Claim, kind: Kind = Kind.SUCCEEDED, **fields: Any) -> None:
        """End an attempt."""
        fields.setdefault("finished_us", self.broker.store.now_us())
        outcome = Outcome(id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=kind, **fields)
        assert self.broker.exchange((outcome,), None).stale == ()

    def finish(self, kind: Kind = Kind.SUCCEEDED, *, queue: str = "default", **fields: Any) -> str:
        """Claim the next job and end it; return its id."""
        claim = self.claim(queue)
        self.settle(claim, kind, **fields)
        return claim.message.id

    def fail(self, error_class: str = "ValueError", message: str = "boom") -> str:
        """Claim the next job and let it fail."""
        error = ErrorInfo(error_class=error_class, message=message, traceback=f"Traceback\n{error_class}: {message}\n")
        return self.finish(Kind.FAILED, error=error)


@pytest.fixture
def stores() -> Iterator[Stores]:
    store = MemoryStore()
    made = Stores(MemoryBroker(store=store), MemoryResultStore(store=store))
    connections.use(made.broker, made.results)
    yield made
    connections.reset()


Declare = Callable[..., Task[..., Any]]


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Give `@job` as a function whose tasks are forgotten after the test."""
    names: list[str] = []

    def make(function: Callable[..., Any], *, name: str | None = None, **options: Any) -> Task[..., Any]:
        decorate: Any = job
        task: Task[..., Any] = decorate(name=name or f"tests.{function.__name__}", **options)(function)
        names.append(task.name)
        return task

    yield make
    for name in names:
        registry.unregister(name)
