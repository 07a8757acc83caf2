"""A Redis store for the contract suites: a namespace of its own, dropped at the end."""

from __future__ import annotations

import secrets
import time
from typing import Any

import redis

from django_jobs.backends.redis import RedisBroker, RedisLock, RedisResultStore
from django_jobs.core.policy import Policy
from django_jobs.testing.contracts import StoreHarness

NOT_THE_BROKERS = (
    "result:",
    "ended:",
    "sessions",
    "orders",
    "renewed",
    "dead",
    "wake:",
    "seq",
    "ticks",
    "lock:",
    "holders",
)
"""Keys that stay or end by themselves: results, sessions, hints, one number for the whole namespace."""


class RedisHarness(StoreHarness):
    """One family of keys; every view has a connection of its own."""

    def __init__(self, url: str, **settings: Any) -> None:
        namespace = f"test_{secrets.token_hex(6)}"
        self.policy = Policy(**{"broker": url, "result_store": url, "namespace": namespace, **settings})
        self.shifted_seconds = 0.0
        self.opened: list[RedisBroker] = []

    def broker(self) -> RedisBroker:
        broker = RedisBroker(self.policy)
        self.opened.append(broker)
        return broker

    def results(self) -> RedisResultStore:
        return RedisResultStore(self.policy)

    def lock(self) -> RedisLock:
        return RedisLock(self.policy)

    def advance(self, seconds: float) -> None:
        self.shifted_seconds += seconds
        RedisBroker(self.policy).shift_clock(seconds)

    def now_us(self) -> int:
        return time.time_ns() // 1000 + round(self.shifted_seconds * 1_000_000)

    def key_names(self) -> list[str]:
        """Return the names of all keys of the namespace, without their prefix."""
        prefix = f"{{{self.policy.namespace}}}:"
        with redis.Redis.from_url(self.policy.broker) as client:
            return [key.decode().removeprefix(prefix) for key in client.scan_iter(f"{prefix}*", 1000)]

    def leftovers(self) -> int:
        return len([key for key in self.key_names() if not key.startswith(NOT_THE_BROKERS)])

    def leave_thread(self) -> None:
        """A thread opens nothing of its own."""

    def close(self) -> None:
        RedisBroker(self.policy).shift_clock(-self.shifted_seconds)
        for broker in self.opened:
            broker.close()
        prefix = f"{{{self.policy.namespace}}}:"
        with redis.Redis.from_url(self.policy.broker) as client:
            for key in self.key_names():
                client.unlink(prefix + key)
