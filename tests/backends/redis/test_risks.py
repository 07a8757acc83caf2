"""What endangers jobs in a Redis is found, and told by the checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from django_jobs import checks
from django_jobs.backends.redis import RedisBroker
from django_jobs.core.policy import Policy
from tests.backends.redis.server import Server
from tests.ports import free_port

SAFE = {"appendonly": "yes", "maxmemory_policy": "noeviction"}
CACHE = "django_redis.cache.RedisCache"


def told(settings: dict[str, Any], caches: dict[str, Any] | None = None) -> set[str]:
    with override_settings(DJANGO_JOBS=settings, **({"CACHES": caches} if caches else {})):
        return {str(message.id).removeprefix("django_jobs.") for message in checks.check_broker_for_deployment(None)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, set()),
        ({"maxmemory_policy": "allkeys-lru"}, {"W006"}),
        ({"appendonly": "no"}, {"W007"}),
        ({"appendonly": "no", "save": "3600 1"}, set()),
        ({"appendonly": "no", "maxmemory_policy": "volatile-ttl"}, {"W006", "W007"}),
    ],
)
def test_a_servers_settings_are_judged(
    make_server: Callable[..., Server], options: dict[str, str], expected: set[str]
) -> None:
    server = make_server(**{**SAFE, **options}).start()
    assert told({"BROKER": server.url, "RESULT_STORE": server.url}) == expected


def test_a_server_that_hides_its_settings_is_not_accused(make_server: Callable[..., Server]) -> None:
    server = make_server(**SAFE, rename_command='CONFIG ""').start()
    assert told({"BROKER": server.url}) == set()


@pytest.mark.parametrize(("alias", "expected"), [("default", {"W009"}), ("jobs", set())])
def test_an_alias_shared_with_the_cache_is_told(
    make_server: Callable[..., Server], alias: str, expected: set[str]
) -> None:
    server = make_server(**SAFE).start()
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    caches = {"default": local, alias: {"BACKEND": CACHE, "LOCATION": server.url}}
    assert told({"BROKER": "redis"}, caches) == expected


def test_an_old_or_open_server_is_told() -> None:
    with override_settings(DJANGO_JOBS={"BROKER": f"redis://127.0.0.1:{free_port()}/0"}):
        made = [checks._risk(name, "x") for name in ("version", "open")]
    assert [message.id for message in made if message] == ["django_jobs.W008", "django_jobs.W010"]


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("redis://127.0.0.1/0", False),
        ("redis://redis.example/0", True),
        ("redis://:p@redis.example/0", False),
        ("redis+sentinel://redis.example/main", True),
        ("unix:///run/redis.sock", False),
    ],
)
def test_a_server_elsewhere_needs_a_password(url: str, is_open: bool) -> None:
    source = RedisBroker(Policy(broker=url))._client.source
    assert (not source.is_local and not source.has_password) is is_open


def test_a_server_that_is_away_is_no_fault_of_the_project() -> None:
    assert told({"BROKER": f"redis://127.0.0.1:{free_port()}/0"}) == set()


@pytest.mark.parametrize(("broker", "count"), [("database", 1), ("redis://127.0.0.1:1/0", 0)])
def test_results_must_be_where_the_broker_writes_them(broker: str, count: int) -> None:
    with override_settings(DJANGO_JOBS={"BROKER": broker, "RESULT_STORE": "redis://127.0.0.1:1/0"}):
        assert len(checks.check_stores(None)) == count
