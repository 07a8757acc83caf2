"""The waits between tries to reach a store."""

from __future__ import annotations

from random import Random

import pytest

from django_jobs.worker.backoff import FIRST_SECONDS, LAST_SECONDS, Backoff


def test_the_wait_doubles_up_to_its_end_with_some_of_it_at_random() -> None:
    backoff = Backoff("It", Random(1))

    waits = [backoff.failed(OSError()) for _ in range(12)]

    ceilings = [min(LAST_SECONDS, FIRST_SECONDS * 2**number) for number in range(12)]
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))


def test_it_is_said_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    backoff = Backoff("It", Random(1))
    with caplog.at_level("INFO"):
        for _ in range(2):
            for _ in range(3):
                backoff.failed(OSError("gone"))
            for _ in range(3):
                backoff.worked()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"] * 2
    assert "gone" in caplog.records[0].getMessage()


def test_a_success_begins_anew() -> None:
    backoff = Backoff("It", Random(1))
    for _ in range(8):
        backoff.failed(OSError())

    backoff.worked()

    assert backoff.failed(OSError()) <= FIRST_SECONDS
