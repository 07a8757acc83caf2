"""Tasks of a small shop, which run for real."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from django_jobs import every, job


class PaymentError(Exception):
    """The bank did not take it."""


@job(admin_runnable=True, queue="reports")
def total(month: date, currency: str = "EUR", rate: float = 1.5, rounded: bool = True, limit: int | None = None) -> str:
    """Add up the sales of a month.

    The result says the sum and the currency.
    """
    return f"{currency} {month:%B}: {round(10 * rate) if rounded else 10 * rate}, {limit}"


@job(queue="payments", max_retries=0)
def charge(order: int, card: dict[str, Any] | None = None) -> str:
    """Charge an order. The bank answers once the file BANK is there."""
    return f"order {order}: {_ask_the_bank()}"


@job(schedule=every(hours=1))
def clean_up() -> int:
    """Delete carts that nobody came back for."""
    return 3


def _ask_the_bank() -> str:
    bank = Path(os.environ["BANK"])
    answer = bank.read_text() if bank.exists() else "<h1>503 Service Unavailable</h1>"
    try:
        return str(json.loads(answer)["status"])
    except ValueError as error:
        raise PaymentError(f"The bank answered {answer}") from error
