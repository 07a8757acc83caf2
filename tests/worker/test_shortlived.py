"""Successes of tasks with a result_ttl go before the others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from django_jobs.backends.memory import MemoryBroker, MemoryLock, MemoryResultStore, MemoryStore
from django_jobs.core.outcome import StoredResult
from django_jobs.core.policy import Policy
from django_jobs.core.spec import TaskSpec
from django_jobs.core.states import State
from django_jobs.worker import shortlived
from django_jobs.worker.maintenance import Maintenance
from django_jobs.worker.shortlived import ShortLived, by_ttl

NOW_US = 1_800_000_000_000_000


def spec(name: str, **given: Any) -> TaskSpec:
    def function() -> None: ...

    signature = inspect.signature(function)
    return TaskSpec(name=name, function=function, given=given, is_async=False, module="m", signature=signature)


class Kept:
    """A store whose clock stands still, and what is in it."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock=lambda: NOW_US)
        self.results = MemoryResultStore(store=self.store)

    def add(self, task: str, ago_seconds: int, status: State = State.SUCCEEDED) -> str:
        job_id = f"{task}-{ago_seconds}-{status}"
        finished_us = self.store.now_us() - ago_seconds * 1_000_000
        kept = StoredResult(id=job_id, task=task, queue="q", status=status, body="", finished_us=finished_us)
        self.results.save_many([kept])
        return job_id

    @property
    def ids(self) -> Sequence[str]:
        return sorted(self.store.results)


def test_only_old_successes_of_such_tasks_go() -> None:
    kept = Kept()
    kept.add("hour", 3700)
    stays = [
        kept.add("hour", 3500),
        kept.add("hour", 3700, State.FAILED),
        kept.add("hour", 3700, State.CANCELLED),
        kept.add("plain", 3700),
    ]
    assert ShortLived(kept.results, {3600.0: frozenset({"hour"})}).step() == (1, False)
    assert kept.ids == sorted(stays)


def test_each_task_has_its_time() -> None:
    kept = Kept()
    for task in ("minute", "hour"):
        kept.add(task, 120)
    walk = ShortLived(kept.results, {60.0: frozenset({"minute"}), 3600.0: frozenset({"hour"})})

    assert walk.step() == (1, False)
    kept.store.shift_clock(3600)
    assert walk.step() == (1, False)
    assert kept.ids == []


def test_what_was_stored_late_goes_too() -> None:
    kept = Kept()
    kept.add("minute", 100)
    walk = ShortLived(kept.results, {60.0: frozenset({"minute"})})
    walk.step()
    kept.store.shift_clock(60)
    kept.add("minute", 70)
    walk.step()
    kept.add("minute", 80)

    kept.store.shift_clock(60)
    assert walk.step() == (1, False)
    assert kept.ids == []


def test_a_round_is_bounded_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlived, "BATCH", 2)
    kept = Kept()
    for number in range(25):
        kept.add("minute" if number % 2 else "plain", 100 + number)
    walk = ShortLived(kept.results, {60.0: frozenset({"minute"})})

    assert [walk.step() for _ in range(3)] == [(5, True), (5, True), (2, False)]
    assert len(kept.ids) == 13


def test_a_worker_s_maintenance_does_it() -> None:
    kept = Kept()
    kept.add("hour", 3700)
    stays = kept.add("plain", 3700)
    maintenance = Maintenance(
        broker=MemoryBroker(store=kept.store),
        results=kept.results,
        lock=MemoryLock(store=kept.store),
        policy=Policy(),
        specs=[spec("hour", result_ttl=3600.0), spec("plain")],
        owner="me",
        random=Random(1),
    )

    maintenance.step()
    assert kept.ids == [stays]


def test_tasks_are_grouped_and_the_long_kept_left_out() -> None:
    specs = [spec("a", result_ttl=60.0), spec("b", result_ttl=60.0), spec("c"), spec("d", result_ttl=900.0)]

    assert by_ttl(specs, defaults={}, longest=800.0) == {60.0: frozenset({"a", "b"})}
    assert by_ttl(specs, defaults={"result_ttl": 5}, longest=800.0)[5.0] == frozenset({"c"})
