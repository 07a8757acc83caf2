"""A task of Django's own, from its enqueue through a real worker to its result."""

from __future__ import annotations

from typing import Any

import django
import pytest

from tests.integration.harness import Site, until

if django.VERSION < (6, 0):
    pytest.importorskip("django_tasks")

from tests.integration.site import tasks


def test_a_worker_runs_a_task_of_django(site: Site) -> None:
    site.worker("-c", "1").ready()

    result: Any = tasks.note.enqueue("hello")

    until(lambda: tasks.note.get_result(result.id).is_finished, what=site.said)
    result.refresh()
    assert result.return_value == {"key": "hello", "id": result.id}
    assert [entry.attempt for entry in site.ledger("ran", "hello")] == [1]
    assert (result.attempts, result.errors, result.task) == (1, [], tasks.note)
    assert result.enqueued_at <= result.started_at <= result.finished_at
