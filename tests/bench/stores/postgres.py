"""PostgreSQL as the bench sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from tests.bench.stores.base import Place, Server, Store, VisibleServer

SETTINGS = ("fsync", "synchronous_commit", "shared_buffers", "autovacuum")


class PostgresServer(VisibleServer):
    """The postmaster, its background processes and the backends of one database."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection = psycopg.connect(url, autocommit=True)

    def elsewhere(self) -> set[int]:
        rows = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND (datname IS DISTINCT FROM current_database() OR pid = pg_backend_pid())"
        )
        return {pid for (pid,) in rows}

    def steps(self) -> float:
        row = self._connection.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        return float(row[0])

    def close(self) -> None:
        self._connection.close()


class PostgresStore(Store):
    kind = "postgres"
    title = "PostgreSQL"

    def describe(self, place: Place) -> str:
        columns = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
        with psycopg.connect(place.url) as connection:
            row = connection.execute(f"SELECT {columns}").fetchone()
            assert row is not None
            major, minor = divmod(connection.info.server_version, 10_000)
        values = (f"{name} {value}" for name, value in zip(SETTINGS, row, strict=True))
        return f"{self.title} {major}.{minor} ({', '.join(values)})"

    def calm(self, place: Place) -> None:
        with psycopg.connect(place.url, autocommit=True) as connection, suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("CHECKPOINT")

    def new_server(self, place: Place) -> Server:
        return PostgresServer(place.url)

    @contextmanager
    def pinned(self, place: Place) -> Iterator[None]:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SELECT count(*) FROM django_migrations")
            yield
            connection.execute("ROLLBACK")
