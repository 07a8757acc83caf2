"""SQLite as the bench sees it: its work is the worker's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from testproject.databases import from_url
from tests.bench.stores.base import Place, Store


def connect(url: str) -> sqlite3.Connection:
    """Return a connection in autocommit mode that waits as long as the worker's for the write lock."""
    return sqlite3.connect(from_url(url)["NAME"], timeout=20.0, isolation_level=None)


class SqliteStore(Store):
    kind = "sqlite"
    title = "SQLite"

    def missing(self) -> str:
        return ""

    def describe(self, place: Place) -> str:
        with closing(connect(place.url)) as connection:
            (level,) = connection.execute("PRAGMA synchronous").fetchone()
        levels = ("off", "normal", "full", "extra")
        return f"SQLite {sqlite3.sqlite_version} (WAL, synchronous {levels[level]})"

    def calm(self, place: Place) -> None:
        with closing(connect(place.url)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # as the first worker leaves the file, for ever
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def pinned(self, place: Place) -> Iterator[None]:
        with closing(connect(place.url)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM django_migrations").fetchone()
            yield
            connection.execute("ROLLBACK")
