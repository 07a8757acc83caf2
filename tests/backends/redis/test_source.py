"""Where the Redis is: URLs, and aliases of CACHES that are copied with our own timeouts."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_jobs.backends.redis import RedisBroker, RedisResultStore
from django_jobs.backends.redis.source import ANSWER_SECONDS, CONNECT_SECONDS, find_source, hidden
from django_jobs.conf import InvalidSettings
from django_jobs.connections import Connections
from django_jobs.testing.child import make_message
from tests.backends.redis.server import Server

LOCAL_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
BACKENDS = ["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"]


def options(name: str) -> dict[str, Any]:
    kwargs: dict[str, Any] = find_source(name).make().connection_pool.connection_kwargs
    return kwargs


def assert_ours(kwargs: dict[str, Any]) -> None:
    assert (kwargs["socket_timeout"], kwargs["socket_connect_timeout"]) == (ANSWER_SECONDS, CONNECT_SECONDS)
    assert kwargs["retry"].get_retries() == 0
    assert kwargs["decode_responses"] is False


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_alias_is_copied_with_our_timeouts(backend: str) -> None:
    location = "redis://user:secret@redis.example:6380/3?socket_timeout=60"
    with override_settings(CACHES={"default": LOCAL_MEMORY, "jobs": {"BACKEND": backend, "LOCATION": location}}):
        source = find_source("redis")
        kwargs = options("redis")
    assert_ours(kwargs)
    assert {name: kwargs[name] for name in ("host", "port", "db", "username", "password")} == {
        "host": "redis.example", "port": 6380, "db": 3, "username": "user", "password": "secret",
    }  # fmt: skip
    assert (source.alias, "secret" in source.place, source.is_local) == ("jobs", False, False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_jobs_go_before_the_default_alias(backend: str) -> None:
    caches = {name: {"BACKEND": backend, "LOCATION": f"redis://{name}.example"} for name in ("default", "jobs")}
    with override_settings(CACHES=caches):
        assert options("redis")["host"] == "jobs.example"
        del caches["jobs"]
    with override_settings(CACHES=caches):
        assert options("redis")["host"] == "default.example"


@pytest.mark.parametrize("backend", BACKENDS)
def test_jobs_work_over_an_alias_apart_from_its_values(server: Server, backend: str) -> None:
    settings = {
        "CACHES": {"default": {"BACKEND": backend, "LOCATION": server.url, "KEY_PREFIX": "site"}},
        "DJANGO_JOBS": {"BROKER": "redis", "RESULT_STORE": "redis"},
    }
    with override_settings(**settings):
        opened = Connections()
        assert isinstance(opened.broker, RedisBroker)
        assert isinstance(opened.results, RedisResultStore)
        assert opened.broker.enqueue_many([make_message("job")]) == [True]
        keys = {key.decode() for key in server.client().keys("*")}
        opened.broker.close()
    assert keys
    assert all(key.startswith("{test_jobs}:") for key in keys)


@pytest.mark.parametrize(
    "caches",
    [
        {"default": LOCAL_MEMORY},
        {"other": {"BACKEND": BACKENDS[0], "LOCATION": "redis://x"}, "default": LOCAL_MEMORY},
        {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": ["redis://a.example", "redis://b.example"],
                "OPTIONS": {"CLIENT_CLASS": "django_redis.client.ShardClient"},
            }
        },
    ],
    ids=["no redis", "another alias", "sharded"],
)
def test_an_alias_that_cannot_be_used_is_refused_with_what_to_do(caches: dict[str, Any]) -> None:
    with override_settings(CACHES=caches, DJANGO_JOBS={"BROKER": "redis"}):
        with pytest.raises(ImproperlyConfigured, match="or give a URL: redis://"):
            find_source("redis")
        with pytest.raises(InvalidSettings, match="BROKER"):
            _ = Connections().broker


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:s3cret@h.example:6380/2", {"host": "h.example", "port": 6380, "db": 2, "password": "s3cret"}),
        ("rediss://u:s3cret@h.example/1?ssl_cert_reqs=none", {"username": "u", "ssl_cert_reqs": "none", "db": 1}),
        ("unix:///run/redis.sock?db=4", {"path": "/run/redis.sock", "db": 4}),
        ("redis://h.example/0?socket_timeout=60&retry_on_timeout=yes", {"host": "h.example"}),
        ("redis+sentinel://u:s3cret@h.example:26380,i.example/main/5", {"db": 5, "username": "u"}),
    ],
)
def test_a_url_is_read(url: str, expected: dict[str, Any]) -> None:
    kwargs = options(url)
    assert {name: kwargs[name] for name in expected} == expected
    assert_ours(kwargs)
    assert "s3cret" not in find_source(url).place


@pytest.mark.parametrize(
    "url", ["redis://host:port/0", "redis+sentinel://h.example:26379", "redis+cluster://", "redis://h/0?db=x"]
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="Redis URL"):
        find_source(url)


def test_a_password_is_hidden_wherever_it_stands() -> None:
    assert hidden("redis://u:p@h:1/2?password=q") == "redis://u:***@h:1/2"
    assert hidden("redis+sentinel://:p@h:1,i:2/s?sentinel_password=q") == "redis+sentinel://:***@h:1,i:2/s"
    assert hidden("redis") == "redis"


@override_settings(DJANGO_JOBS={"BROKER": "amqp://user:secret@host"})
def test_another_scheme_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidSettings, match="scheme") as caught:
        _ = Connections().policy
    assert "secret" not in str(caught.value)
