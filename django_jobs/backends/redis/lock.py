"""Maintenance locks as keys that end by themselves."""

from __future__ import annotations

from django_jobs.backends.redis.client import Client
from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.scripts import LOCK
from django_jobs.core.policy import Policy
from django_jobs.ports.lock import Lock


class RedisLock(Lock):
    """Compare-and-set on one key, by the server's clock."""

    def __init__(self, policy: Policy) -> None:
        self._family = Family(Client(policy.result_store or policy.broker), policy.namespace)

    def acquire(self, name: str, *, owner: str, hold_seconds: float) -> bool:
        return bool(self._family.run(LOCK, ["acquire", name, owner, round(hold_seconds * 1_000_000)]))

    def release(self, name: str, *, owner: str) -> bool:
        return bool(self._family.run(LOCK, ["release", name, owner]))
