"""Turns a database URL into an entry of Django's DATABASES."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

ENGINES: Final = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}


def from_url(url: str) -> dict[str, Any]:
    """Return the settings for `scheme://user:password@host:port/name?option=value`; percent-escapes are undone.

    `sqlite:///relative.sqlite3` is a relative path, `sqlite:////absolute.sqlite3` an absolute one.

    Raises:
        ValueError: the scheme is not one of `ENGINES`, or the port is no number.
    """
    parts = urlsplit(url)
    engine = ENGINES.get(parts.scheme)
    if engine is None:
        raise ValueError(
            f"A database URL begins with one of {', '.join(f'{scheme}://' for scheme in ENGINES)}; "
            f"this one begins with {parts.scheme!r}."
        )
    entry: dict[str, Any] = {"ENGINE": engine, "NAME": unquote(parts.path.removeprefix("/"))}
    if parts.scheme != "sqlite":
        entry |= {
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
        }
    if options := parse_qsl(parts.query):
        # Whole numbers as int: mysqlclient refuses text for its own, psycopg takes both.
        entry["OPTIONS"] = {name: int(value) if value.isdecimal() else value for name, value in options}
    return entry
