"""Where the Redis is: a URL, or an alias of CACHES whose connection is copied with timeouts of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.8
"""Together with the connect less than 3 s: so long a producer waits at most."""
SENTINEL_SECONDS: Final = 0.3
"""For each question to a sentinel; there are several, and one that hangs must not use up a producer's time."""
ALIASES: Final = ("jobs", "default")
OUR_OPTIONS: Final[dict[str, Any]] = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "decode_responses": False,
    "protocol": 2,  # the answers of scripts have one shape on every server
}
COPIED: Final = (
    "host", "port", "path", "db", "username", "password", "credential_provider", "client_name", "socket_keepalive",
    "socket_keepalive_options", "socket_type", "redis_connect_func",
)  # fmt: skip
"""What is taken over from a cache's connection, with all that begins with `ssl`; timeouts and retries are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How to open a client, and how to name the server without its password."""

    place: str
    make: Callable[[], Any]
    cluster: bool = False
    alias: str | None = None
    """The alias of CACHES that it was taken from."""
    is_local: bool = False
    """Whether the server is on this machine."""
    has_password: bool = False


def no_retry() -> Retry:
    """Return the rule that the driver sends nothing twice: it would hide that an answer was lost."""
    return Retry(NoBackoff(), 0)


def find_source(name: str) -> Source:
    """Return where BROKER or RESULT_STORE points to; nothing is connected.

    Raises:
        ImproperlyConfigured: there is no such Redis, or not one that can be used.
    """
    if name == "redis":
        return _from_caches()
    scheme = name.partition("://")[0]
    try:
        if scheme == "redis+sentinel":
            return _from_sentinel(name)
        return _from_cluster(name) if scheme == "redis+cluster" else _from_url(name)
    except ValueError as error:
        raise ImproperlyConfigured(f"The Redis URL {hidden(name)} cannot be used: {error}.") from error


def hidden(url: str) -> str:
    """Return a URL without its password."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    if at and ":" in user:
        user = user.partition(":")[0] + ":***"
    return f"{scheme}://{user}{at}{hosts}{slash}{path.partition('?')[0]}"


def _from_url(url: str) -> Source:
    parts = urlsplit(url)
    options = {**OUR_OPTIONS}
    local = parts.scheme == "unix" or _is_loopback(parts.hostname)

    def make() -> Any:
        pool = redis.ConnectionPool.from_url(url)
        return redis.Redis(connection_pool=_copy(pool, options))

    make()  # a URL that the driver does not take is refused here; nothing is connected
    return Source(
        place=hidden(url), make=make, is_local=local,
        has_password=parts.password is not None or "password=" in parts.query,
    )  # fmt: skip


def _copy(pool: redis.ConnectionPool, options: dict[str, Any]) -> redis.ConnectionPool:
    """Return a pool to the same server whose connections have our timeouts and never retry."""
    given = pool.connection_kwargs
    kwargs = {key: value for key, value in given.items() if key in COPIED or key.startswith("ssl")}
    kwargs |= options | {"retry": no_retry()}
    if isinstance(pool, SentinelConnectionPool):
        return SentinelConnectionPool(  # type: ignore[no-untyped-call]  # redis-py has no types for it
            pool.service_name, pool.sentinel_manager, connection_class=pool.connection_class, is_master=True, **kwargs
        )
    return redis.ConnectionPool(connection_class=pool.connection_class, **kwargs)


def _from_sentinel(url: str) -> Source:
    """Read redis+sentinel://[user:password@]host:port,host:port/service[/db][?sentinel_password=..&ssl=true]."""
    user, password, hosts, path, query = _split(url)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("it names no service: redis+sentinel://host:26379,host:26379/mymaster/0")
    options = {**OUR_OPTIONS, "retry": no_retry(), "username": user, "password": password, "db": int(database or 0)}
    sentinel_options = {
        "socket_connect_timeout": SENTINEL_SECONDS, "socket_timeout": SENTINEL_SECONDS, "retry": no_retry(),
        "username": query.get("sentinel_username"), "password": query.get("sentinel_password"),
    }  # fmt: skip
    if query.get("ssl") == "true":
        options["ssl"] = sentinel_options["ssl"] = True
    addresses = [(host, port or 26379) for host, port in hosts]

    def make() -> Any:
        manager: Any = Sentinel
        return manager(addresses, sentinel_kwargs=sentinel_options).master_for(service, **options)

    return Source(
        place=hidden(url), make=make, is_local=all(_is_loopback(host) for host, _ in hosts),
        has_password=password is not None,
    )  # fmt: skip


def _from_cluster(url: str) -> Source:
    """Read redis+cluster://[user:password@]host:port,host:port[?ssl=true]."""
    user, password, hosts, _, query = _split(url)
    nodes = [(host, port or 6379) for host, port in hosts]
    options = {**OUR_OPTIONS, "username": user, "password": password, "ssl": query.get("ssl") == "true"}

    def make() -> Any:
        make_node: Any = ClusterNode
        startup = [make_node(host, port) for host, port in nodes]
        return RedisCluster(startup_nodes=startup, retry=no_retry(), **options)

    return Source(
        place=hidden(url), make=make, cluster=True, is_local=all(_is_loopback(host) for host, _ in hosts),
        has_password=password is not None,
    )  # fmt: skip


def _split(url: str) -> tuple[str | None, str | None, list[tuple[str, int | None]], str, dict[str, str]]:
    rest, _, query = url.partition("://")[2].partition("?")
    place, _, path = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    user, _, password = login.partition(":")
    addresses = [urlsplit(f"//{host}") for host in hosts.split(",")]
    if any(not address.hostname for address in addresses):
        raise ValueError("it names no host")
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    return (
        unquote(user) or None, unquote(password) or None,
        [(address.hostname or "", address.port) for address in addresses], path.rstrip("/"), given,
    )  # fmt: skip


def _from_caches() -> Source:
    alias = next((name for name in ALIASES if name in caches.settings), None)
    cache = None if alias is None else caches[alias]
    pool = None if cache is None else _pool_of(cache)
    if alias is None or pool is None:
        found = "not there" if cache is None else f"{type(cache).__module__}.{type(cache).__qualname__}"
        raise ImproperlyConfigured(
            f'"redis" takes the alias {" or ".join(map(repr, ALIASES))} of CACHES, which is '
            f"{found}. Use Django's RedisCache or django-redis for it, or give a URL: redis://host:6379/0."
        )
    kwargs = pool.connection_kwargs
    host = kwargs.get("host")
    if isinstance(pool, SentinelConnectionPool):
        place = f"redis+sentinel://{pool.service_name}"
    else:
        place = (
            f"redis://{host}:{kwargs.get('port', 6379)}/{kwargs.get('db') or 0}" if host else str(kwargs.get("path"))
        )
    return Source(
        place=f"{place} of CACHES[{alias!r}]", make=lambda: redis.Redis(connection_pool=_copy(pool, OUR_OPTIONS)),
        alias=alias, is_local=host is None or _is_loopback(host),
        has_password=bool(kwargs.get("password") or kwargs.get("credential_provider")),
    )  # fmt: skip


def _pool_of(cache: BaseCache) -> redis.ConnectionPool | None:
    """Return the connection pool behind a cache, or None where it is no Redis that scripts can use."""
    client = getattr(cache, "client", None)
    if client is not None and hasattr(client, "get_client"):  # django-redis; a sharded one has several servers
        return None if hasattr(client, "_ring") else client.get_client(write=True).connection_pool
    client = getattr(cache, "_cache", None)
    if client is not None and hasattr(client, "get_client"):  # Django's own
        return cast(redis.ConnectionPool, client.get_client(write=True).connection_pool)
    return None


def _is_loopback(host: str | None) -> bool:
    return host in {None, "", "localhost", "::1"} or str(host).startswith("127.")
