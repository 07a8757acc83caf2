"""Where the tests find PostgreSQL, MariaDB and Redis, and databases made for one test run and dropped after it.

A service that does not answer skips the test at home, with the reason, and fails it where CI=true.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from testproject.databases import from_url

CONNECT_SECONDS: Final = 2.0
IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server that some tests need. `url` has no database name."""

    name: str
    url: str
    variable: str
    """The environment variable that says where it is."""
    driver: str
    """The Python module that talks to it."""

    def missing(self) -> str:
        """Return why it cannot be used, or an empty text."""
        if importlib.util.find_spec(self.driver) is None:
            return f"{self.name}: the Python module {self.driver} is not installed"
        parts = urlsplit(self.url)
        address = (parts.hostname or "127.0.0.1", parts.port or 0)
        try:
            socket.create_connection(address, CONNECT_SECONDS).close()
        except OSError as error:
            place = f"{address[0]}:{address[1]}"
            return f"{self.name} does not answer on {place} ({error}); {self.variable} says where it is"
        return ""


def _service(name: str, variable: str, default_url: str, driver: str) -> Service:
    return Service(name=name, url=os.environ.get(variable, default_url).rstrip("/"), variable=variable, driver=driver)


SERVICES: Final = {
    "postgres": _service("PostgreSQL", "TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432", "psycopg"),
    "mysql": _service("MariaDB", "TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306", "MySQLdb"),
    "redis": _service("Redis", "TEST_REDIS_URL", "redis://127.0.0.1:6379", "redis"),
}
DATABASE_KINDS: Final = ("sqlite", "postgres", "mysql")


def require(kind: str) -> Service:
    """Return the service, or skip the test with the reason; in CI it fails. SQLite is no service and always there."""
    service = SERVICES[kind]
    if reason := service.missing():
        if IN_CI:
            pytest.fail(f"CI=true, and {reason}")
        pytest.skip(reason)
    return service


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An empty database with a name of its own."""

    kind: str
    url: str
    """For DATABASE_URL of a process that the test starts."""

    def settings(self) -> dict[str, Any]:
        """Return a new entry for DATABASES."""
        return from_url(self.url)


@contextlib.contextmanager
def temporary_database(kind: str, directory: Path) -> Iterator[Database]:
    """Make an empty database of `kind` (a file under `directory` for SQLite), and drop it at the end.

    Skips, or fails in CI, where the server is missing.
    """
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    if kind == "sqlite":
        yield Database(kind=kind, url=f"sqlite:///{directory / name}.sqlite3")
        return
    service = require(kind)
    _execute(service, f"CREATE DATABASE {name}" + (" CHARACTER SET utf8mb4" if kind == "mysql" else ""))
    try:
        yield Database(kind=kind, url=f"{service.url}/{name}")
    finally:
        _execute(service, f"DROP DATABASE IF EXISTS {name}" + (" WITH (FORCE)" if kind == "postgres" else ""))


def _execute(service: Service, statement: str) -> None:
    """Run one administrative statement over a connection of its own, outside of any database of the tests."""
    entry = from_url(service.url)
    if service.driver == "psycopg":
        import psycopg

        with psycopg.connect(f"{service.url}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())
        return
    import MySQLdb

    server = MySQLdb.connect(
        host=entry["HOST"], port=int(entry["PORT"] or 3306), user=entry["USER"], passwd=entry["PASSWORD"]
    )
    try:
        server.query(statement)
    finally:
        server.close()
