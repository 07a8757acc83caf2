"""Signals by the names of tasks and workers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_jobs.signals import NamedSignal


def equal_name() -> str:
    """Return a string that equals the receivers' and is another object, as one that was read from a store is."""
    parts = ["shop", "jobs", "send"]
    return ".".join(parts)


class Ears:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def receive(self, sender: str, **_: Any) -> None:
        self.heard.append(sender)


@pytest.fixture
def ears() -> Ears:
    return Ears()


def test_a_receiver_of_a_name_hears_its_equals_only(ears: Ears) -> None:
    signal = NamedSignal()
    signal.connect(ears.receive, sender=equal_name())
    signal.send_robust(sender=equal_name())
    signal.send_robust(sender="shop.jobs.other")
    asyncio.run(signal.asend_robust(sender=equal_name()))
    assert ears.heard == ["shop.jobs.send", "shop.jobs.send"]
    assert signal.has_listeners(equal_name())
    assert not signal.has_listeners("shop.jobs.other")


def test_a_receiver_without_a_name_hears_all(ears: Ears) -> None:
    signal = NamedSignal()
    signal.connect(ears.receive)
    signal.send_robust(sender="a")
    signal.send_robust(sender="b")
    assert ears.heard == ["a", "b"]


def test_a_receiver_of_a_name_can_be_disconnected(ears: Ears) -> None:
    signal = NamedSignal()
    signal.connect(ears.receive, sender=equal_name())
    assert signal.disconnect(ears.receive, sender=equal_name())
    signal.send_robust(sender=equal_name())
    assert ears.heard == []
    assert not signal.receivers
