"""What `--database` takes, and what it says to what it does not."""

from __future__ import annotations

import pytest

from testproject.databases import from_url
from testproject.demo import database_url
from testproject.demo.database_url import CONNECT_SECONDS, complete
from testproject.demo.errors import DemoError


def test_a_server_is_given_up_after_a_while() -> None:
    entry = from_url(complete("postgres://postgres@127.0.0.1:5432/demo"))

    assert entry["OPTIONS"] == {"connect_timeout": CONNECT_SECONDS}
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("127.0.0.1", "5432", "demo")


def test_options_and_escapes_are_kept() -> None:
    entry = from_url(complete("postgres://us%40er:p%2Fw%23@[::1]/demo?sslmode=require&connect_timeout=30"))

    assert entry["OPTIONS"] == {"sslmode": "require", "connect_timeout": 30}
    assert (entry["USER"], entry["PASSWORD"], entry["HOST"]) == ("us@er", "p/w#", "::1")


def test_completing_twice_is_completing_once() -> None:
    once = complete("postgres://postgres@127.0.0.1/demo?sslmode=require")

    assert complete(once) == once


def test_a_file_needs_nothing() -> None:
    assert complete("sqlite:////somewhere/demo.sqlite3") == "sqlite:////somewhere/demo.sqlite3"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("oracle://scott:tiger@host/name", "its beginning or its host"),
        ("demo", "its beginning or its host"),
        ("postgres://user:secret@host:54x2/demo", "its port is not a number"),
        ("postgres://user:sec/ret@host:5432/demo", "its port is not a number"),
        ("postgres://user@[::1/demo", "its beginning or its host"),
        ("postgres://user:secret@host:5432", "no database name"),
        ("postgres://user:secret@host:5432/", "no database name"),
    ],
)
def test_a_wrong_url_is_explained_without_its_secrets(url: str, says: str) -> None:
    with pytest.raises(DemoError, match=says) as raised:
        complete(url)

    assert "sec" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database_url.DRIVERS, "django.db.backends.mysql", ("no_such_driver", "mysql"))

    with pytest.raises(DemoError, match=r"no_such_driver is not installed.*\[mysql\]"):
        complete("mysql://root@127.0.0.1/demo")
