"""The part of a broker by which people give orders to living workers: a short list beside each session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from django_jobs.core.control import Order, Standing


class OrderBook(ABC):
    """Keeps the orders of each session. Its keeper looks about once a second, and answers in the session's details."""

    @abstractmethod
    def give_order(self, session_id: str, order: Order) -> int:
        """Leave an order for a living session; return its number, which counts from 1 in each session.

        0 where the session is dead or unknown: nothing was left. The last 20 are kept, for as long as it lives.

        Atomic: yes. Repeating it with the same `order.id` leaves one order and returns the same number.
        Blocks: never.
        """

    @abstractmethod
    def orders_of(self, session_id: str, *, after: int) -> Sequence[Standing]:
        """Return the orders of a living session whose numbers are above `after`, in their order.

        Atomic: yes. Blocks: never. One look-up by key.
        """
