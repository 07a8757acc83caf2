"""Sends what the outbox holds: after the commit in the process that enqueued, and by the workers' keepers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from django_jobs.core.message import Message
from django_jobs.exceptions import BrokerFull, BrokerUnavailable
from django_jobs.ports.broker import Broker
from django_jobs.ports.outbox import Outbox

logger = logging.getLogger("django_jobs.relay")

BATCH: Final = 500
HOLD_SECONDS: Final = 10.0
"""For the one who wrote a message, or took it, to send it; after that others may."""
EVERY_SECONDS: Final = 1.0
DOWN_SECONDS: Final = 2.0
"""Before a message is tried again that the broker could not take for reasons of its own."""
REFUSED_SECONDS: Final = 300.0
"""Before a message is tried again that the broker refuses for what it is."""


class Relay:
    """Moves messages from the outbox to the broker. Any number may run: the broker takes an id in once."""

    def __init__(self, outbox: Outbox, broker: Broker, *, session: str) -> None:
        self._outbox = outbox
        self._broker = broker
        self._session = session

    def step(self) -> float:
        """Send a batch; return the seconds until the next is worth a look.

        Raises:
            BrokerUnavailable: the broker or the outbox cannot be reached; what was taken is tried again.
        """
        taken = self._outbox.take(session=self._session, limit=BATCH, hold_seconds=HOLD_SECONDS)
        if not taken:
            return EVERY_SECONDS
        self.send(taken)
        return 0.0 if len(taken) == BATCH else EVERY_SECONDS

    def send(self, messages: Sequence[Message]) -> None:
        """Hand messages of the outbox to the broker and strike them; one that is refused waits alone.

        Raises:
            BrokerUnavailable, BrokerFull: the broker takes nothing in now; all are tried again soon.
        """
        ids = [message.id for message in messages]
        try:
            self._broker.enqueue_many(messages)
        except (BrokerUnavailable, BrokerFull) as error:
            self._outbox.postpone(ids, seconds=DOWN_SECONDS)
            logger.warning("%d jobs wait in the outbox for the broker: %s", len(ids), error)
            raise
        except Exception as error:  # noqa: BLE001  # whatever the store says of a value that it will never take
            self._one_by_one(messages, error)
        else:
            self._outbox.strike(ids)

    def _one_by_one(self, messages: Sequence[Message], error: Exception) -> None:
        if len(messages) > 1:
            for message in messages:
                self.send([message])
            return
        reason = f"{type(error).__name__}: {error}"[:2000]
        self._outbox.postpone([messages[0].id], seconds=REFUSED_SECONDS, error=reason)
        logger.error("The broker refuses job %s of %s: %s", messages[0].id, messages[0].task, reason)
