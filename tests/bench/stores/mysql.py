"""MariaDB or MySQL as the bench sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from testproject.databases import from_url
from tests.bench.stores.base import Place, Server, Store, VisibleServer

SETTINGS = ("innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin", "innodb_buffer_pool_size")


def connect(url: str) -> Any:
    """Return a connection in autocommit mode."""
    import MySQLdb  # compiled, and so not everywhere

    entry = from_url(url)
    return MySQLdb.connect(
        host=entry["HOST"],
        port=int(entry["PORT"] or 3306),
        user=entry["USER"],
        passwd=entry["PASSWORD"],
        db=entry["NAME"],
        charset="utf8mb4",
        autocommit=True,
    )


class MysqlServer(VisibleServer):
    """The threads of mysqld but for those that serve other databases, where MariaDB says which these are."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection = connect(url)

    def elsewhere(self) -> set[int]:
        if "MariaDB" not in self._connection.get_server_info():
            return set()
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(
                "SELECT tid FROM information_schema.processlist WHERE user <> 'system user'"
                " AND (db IS NULL OR db <> DATABASE() OR id = CONNECTION_ID())"
            )
            return {tid for (tid,) in cursor.fetchall()}

    def close(self) -> None:
        self._connection.close()


class MysqlStore(Store):
    kind = "mysql"
    title = "MariaDB"

    def describe(self, place: Place) -> str:
        with closing(connect(place.url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT {', '.join(f'@@{name}' for name in SETTINGS)}")
            values = zip(SETTINGS, cursor.fetchone(), strict=True)
            version = connection.get_server_info()
            name = "MariaDB" if "MariaDB" in version else "MySQL"
            return f"{name} {version.partition('-')[0]} ({', '.join(f'{key} {value}' for key, value in values)})"

    def calm(self, place: Place) -> None:
        """Leave it to the server, which writes out as it sees fit."""

    def new_server(self, place: Place) -> Server:
        return MysqlServer(place.url)

    @contextmanager
    def pinned(self, place: Place) -> Iterator[None]:
        with closing(connect(place.url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            yield
            cursor.execute("ROLLBACK")
