"""Where messages wait for a broker that does not share the caller's transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Self

from django_jobs.core.message import Message


class Outbox(ABC):
    """Keeps messages until their broker has confirmed them. Times are the store's clock."""

    alias: str
    """The database alias whose transaction `add` joins."""

    @abstractmethod
    def add(self, messages: Sequence[Message], *, hold_seconds: float) -> None:
        """Keep `messages`, times made absolute, and out of the relays' reach for `hold_seconds`.

        Atomic: all or nothing, inside the caller's transaction on `alias`. A message whose id is there stays as it is.
        """

    @abstractmethod
    def take(self, *, session: str, limit: int, hold_seconds: float) -> list[Message]:
        """Return messages whose time has come, in any order, and hide them from others for `hold_seconds`.

        Atomic: a message is taken by one relay at a time.
        """

    @abstractmethod
    def strike(self, job_ids: Collection[str]) -> int:
        """Drop messages that the broker has confirmed; return how many there were."""

    @abstractmethod
    def postpone(self, job_ids: Collection[str], *, seconds: float, error: str = "") -> None:
        """Let messages be taken again after `seconds`; with `error` a refusal of that message itself is counted."""

    @abstractmethod
    def waiting(self) -> int:
        """Count the messages."""

    @abstractmethod
    def own(self) -> Self:
        """Return the same outbox over a connection of its own."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection of its own, if any."""
