"""What a server's own settings mean for jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redis import exceptions

from django_jobs.backends.redis.client import Client

OLDEST: Final = (6, 2)


def find_risks(client: Client) -> dict[str, str]:
    """Return risk -> what was found, for each one that there is; what the server does not tell is left out.

    Raises:
        BrokerUnavailable: it cannot be asked.
    """
    with client.errors("look at the server's settings"):
        info = _first(client.redis.info(), client)
        policy = _setting(client, "maxmemory-policy") or str(info.get("maxmemory_policy", "noeviction"))
        saves = _setting(client, "save")
    risks: dict[str, str] = {}
    if policy != "noeviction":
        risks["eviction"] = policy
    if not info.get("aof_enabled") and not saves:
        risks["persistence"] = "neither an append-only file nor snapshots"
    version = str(info.get("redis_version", ""))
    if _numbers(version) < OLDEST:
        risks["version"] = version
    source = client.source
    if source.alias == "default":
        risks["shared"] = source.alias
    if not source.is_local and not source.has_password:
        risks["open"] = source.place
    return risks


def _first(info: Mapping[str, Any], client: Client) -> Mapping[str, Any]:
    """Return the answer of one node; a cluster gives one for each."""
    return next(iter(info.values()), {}) if client.source.cluster and "redis_version" not in info else info


def _setting(client: Client, name: str) -> str | None:
    """Return a setting, or None where the server does not show it, as managed ones do not."""
    try:
        found = client.redis.config_get(name)
    except exceptions.ResponseError:
        return None
    if client.source.cluster and name not in found:
        found = next(iter(found.values()), {})
    value = found.get(name)
    return value.decode() if isinstance(value, bytes) else value


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
