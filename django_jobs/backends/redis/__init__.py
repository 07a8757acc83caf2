"""The Redis backend: broker, result store and lock, with one Lua script per verb."""

from __future__ import annotations

from django_jobs.backends.redis.broker import RedisBroker
from django_jobs.backends.redis.lock import RedisLock
from django_jobs.backends.redis.results import RedisResultStore

__all__ = ["RedisBroker", "RedisLock", "RedisResultStore"]
