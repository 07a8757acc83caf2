"""Checks the URL of `--database` before anything is started with it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from testproject.databases import from_url
from testproject.demo.errors import DemoError

DRIVERS: Final = {
    "django.db.backends.postgresql": ("psycopg", "postgres"),
    "django.db.backends.mysql": ("MySQLdb", "mysql"),
}
"""Engine -> (module that must be importable, the extra of ours that installs it)."""

CONNECT_SECONDS: Final = 5
"""A server that does not answer is given up after so many seconds; both drivers call the option `connect_timeout`."""

EXAMPLE: Final = "postgres://user:password@host:5432/name or mysql://user:password@host:3306/name"


def complete(url: str) -> str:
    """Return `url` with an option `connect_timeout`, unless it has one or is a file. Completing it twice is once.

    Raises:
        DemoError: it cannot be used, or its driver is not installed. The text never shows a part that may be secret.
    """
    try:
        entry = from_url(url)
    except ValueError as error:
        # The error's own text may quote a piece of the URL that is the password.
        why = "its port is not a number" if "ort" in str(error) else "its beginning or its host is not understood"
        raise DemoError(
            f"The database URL cannot be used: {why}. Write {EXAMPLE}; percent-encode what is special in a password "
            "(/ is %2F, @ is %40, # is %23)."
        ) from None
    if not entry["NAME"]:
        raise DemoError(f"The database URL has no database name at its end. Write {EXAMPLE}.")
    module, extra = DRIVERS.get(entry["ENGINE"], ("", ""))
    if not module:
        return url
    if find_spec(module) is None:
        raise DemoError(f"The driver {module} is not installed. Install it: pip install -e '.[{extra}]'")
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode({"connect_timeout": CONNECT_SECONDS, **options}), fragment=""))
