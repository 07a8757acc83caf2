"""Sends what waits in the outbox, where the broker does not share the project's transactions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from django_jobs.client.relay import Relay
from django_jobs.exceptions import BrokerError
from django_jobs.ports.broker import Broker
from django_jobs.ports.outbox import Outbox
from django_jobs.worker.backoff import Backoff


class Relaying:
    """A duty of each keeper. It never raises for a store that is away: sessions are renewed all the same."""

    def __init__(
        self, outbox: Outbox, broker: Broker, *, session: str, sign: Callable[[], None], random: Random
    ) -> None:
        self._relay = Relay(outbox, broker, session=session)
        self._sign = sign
        self._backoff = Backoff("The relay of the outbox", random)

    def step(self) -> float:
        """Send a batch; return the seconds until the next."""
        try:
            seconds = self._relay.step()
        except BrokerError as error:
            return self._backoff.failed(error)
        self._sign()
        self._backoff.worked()
        return seconds
