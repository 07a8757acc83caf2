"""Fixtures of the demo's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.harness import Demo
from tests.services import Database


@pytest.fixture
def demo(database: Database, tmp_path: Path) -> Iterator[Demo]:
    """Give the command over `database`, with an environment of its own to audit."""
    made = Demo(site=tmp_path / "site", var=tmp_path / "var", database_url=database.url)
    made.site.mkdir()
    yield made
    made.close()


@pytest.fixture
def empty_demo(tmp_path: Path) -> Iterator[Demo]:
    """Give the command over a SQLite file that does not exist yet, nor does its directory."""
    url = f"sqlite:///{tmp_path / 'not there' / 'demo.sqlite3'}".replace(" ", "%20")
    made = Demo(site=tmp_path / "site", var=tmp_path / "var", database_url=url)
    made.site.mkdir()
    yield made
    made.close()
