"""Makes the demo's database ready: reachable, there, and migrated; or says in one line why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper

from testproject.demo.errors import DemoError, one_line
from testproject.demo.places import shown

EXISTS = {
    "postgresql": "SELECT 1 FROM pg_database WHERE datname = %s",
    "mysql": "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s",
}
CREATE_SUFFIX = {"postgresql": " ENCODING 'UTF8' TEMPLATE template0", "mysql": " CHARACTER SET utf8mb4"}


def prepare() -> str:
    """Connect, create the database where it is missing, migrate; return in words which database it is.

    Raises:
        DemoError: the server cannot be reached, refuses, or the database may not be created.
    """
    try:
        if connection.vendor == "sqlite":
            Path(str(connection.settings_dict["NAME"])).parent.mkdir(parents=True, exist_ok=True)
        else:
            _ensure_database()
        call_command("migrate", interactive=False, verbosity=0)
    except (DatabaseError, ImproperlyConfigured, OSError) as error:
        raise DemoError(f"The database {_place()} cannot be used: {one_line(error)}. {_advice()}") from error
    return f"{connection.display_name} {_place()}"


def _place() -> str:
    """Return where the default database is, without its password and without asking the server."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return shown(Path(str(settings["NAME"])))
    host = f"{settings['HOST'] or 'local socket'}{':' if settings['PORT'] else ''}{settings['PORT']}"
    return f"{host}/{settings['NAME']}"


def _ensure_database() -> None:
    """Create the database if the server is there and the database is not.

    Whether it is missing is asked in the catalogue: the errors of a refused connection are translated by servers,
    and have no code in psycopg.
    """
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        name = str(connection.settings_dict["NAME"])
        with _without_database(error) as server:
            if _exists(server, name):
                raise
            _create(server, name)
        connection.close()


@contextmanager
def _without_database(error: DatabaseError) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to the server alone; where that is refused too, the first `error` says it best."""
    default = connections[DEFAULT_DB_ALIAS]
    server = type(default)({**default.settings_dict, "NAME": None}, alias=NO_DB_ALIAS)
    try:
        server.ensure_connection()
    except DatabaseError:
        raise error from None
    try:
        yield server
    finally:
        server.close()


def _exists(server: BaseDatabaseWrapper, name: str) -> bool:
    with server.cursor() as cursor:
        cursor.execute(EXISTS[server.vendor], [name])
        return cursor.fetchone() is not None


def _create(server: BaseDatabaseWrapper, name: str) -> None:
    quoted = server.ops.quote_name(name)
    try:
        with server.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quoted}{CREATE_SUFFIX[server.vendor]}")
    except DatabaseError as error:
        if _exists(server, name):  # made by someone else in between
            return
        user = server.settings_dict["USER"]
        raise DemoError(
            f"The database {name!r} does not exist, and {user!r} may not create it ({one_line(error)}). "
            f"Create it as an administrator: CREATE DATABASE {quoted};"
        ) from error


def _advice() -> str:
    if connection.vendor == "sqlite":
        return "May the directory be written to, and is the disk not full?"
    return "Is the server running, are host, port, user and password right, and may this user make tables?"
