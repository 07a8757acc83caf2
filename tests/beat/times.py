"""The instant at which these tests begin, and those after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)
