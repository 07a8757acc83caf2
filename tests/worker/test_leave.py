"""The limits at which a child is replaced, and what is said of them."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from django_jobs.worker.layout import Word
from django_jobs.worker.leave import Leave, Quota, resident_bytes
from django_jobs.worker.slots import Shared


def test_a_child_that_has_outgrown_its_memory_says_how_far_and_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_jobs")
    quota = Quota(max_jobs=None, max_jobs_per_child=None, max_memory_mib=1)

    quota.check_memory()
    quota._checked_at = 0.0
    quota.check_memory()

    [line] = caplog.messages
    assert quota.reached is Leave.RECYCLED
    assert f"process {os.getpid()} has grown to " in line
    assert " MiB (the limit is 1)" in line


def test_a_child_within_its_memory_goes_on_silently(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "django_jobs")
    quota = Quota(max_jobs=None, max_jobs_per_child=None, max_memory_mib=resident_bytes(os.getpid()) // 2**20 + 1000)

    quota.check_memory()

    assert (quota.reached, caplog.messages) == (None, [])


@pytest.mark.parametrize(("level", "lines"), [(logging.DEBUG, 1), (logging.INFO, 0)])
def test_the_limit_of_jobs_is_said_to_who_debugs(caplog: pytest.LogCaptureFixture, level: int, lines: int) -> None:
    caplog.set_level(level, "django_jobs")
    quota = Quota(max_jobs=None, max_jobs_per_child=2, max_memory_mib=None)
    shared = Shared(1)

    assert [quota.take(shared) for _ in range(3)] == [True, True, False]

    assert quota.check(shared) is Leave.RECYCLED
    assert len([line for line in caplog.messages if "has started 2 jobs" in line]) == lines


def test_several_threads_start_no_more_than_the_limit_of_their_child() -> None:
    quota = Quota(max_jobs=None, max_jobs_per_child=1000, max_memory_mib=None)
    shared = Shared(1)
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.extend(quota.take(shared) for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken.count(True) == 1000


def test_the_limit_over_all_children_ends_each_of_them() -> None:
    shared = Shared(1)
    quotas = [Quota(max_jobs=3, max_jobs_per_child=None, max_memory_mib=None) for _ in range(2)]

    assert [quotas[number % 2].take(shared) for number in range(4)] == [True, True, True, False]

    assert shared.words[Word.JOBS_STARTED] == 3
    assert {quota.check(shared) for quota in quotas} == {Leave.ENOUGH}
