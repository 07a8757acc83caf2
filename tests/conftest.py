"""Fixtures of the whole test-suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from tests.services import DATABASE_KINDS, Database, temporary_database

pytest.register_assert_rewrite("django_jobs.testing")  # before any module of tests imports it

MARKED_PATHS = {
    "tests/integration/": pytest.mark.processes,
    "tests/demo/": pytest.mark.processes,
    "tests/browser/": pytest.mark.processes,
    "tests/backends/test_machine.py": pytest.mark.machines,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long, so that a cell of the matrix can leave it out: `-m "not processes and not machines"`."""
    for item in items:
        for path, mark in MARKED_PATHS.items():
            if item.nodeid.startswith(path):
                item.add_marker(mark)


@contextmanager
def attached(database: Database, alias: str) -> Iterator[str]:
    """Add `database` to Django's DATABASES as `alias`, and take it out again."""
    # In place: settings.DATABASES is this very dict.
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: database.settings()})[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


@pytest.fixture(scope="session", params=DATABASE_KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Give a migrated database of each kind in turn, for tests and processes that commit; not attached to an alias.

    Restrict it with `@pytest.mark.parametrize("database", ["sqlite"], indirect=True)`.
    """
    directory: Path = tmp_path_factory.mktemp("database")
    with temporary_database(request.param, directory) as made, django_db_blocker.unblock():
        with attached(made, "migrating") as alias:
            call_command("migrate", database=alias, verbosity=0)
        yield made


@pytest.fixture
def database_alias(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Give the alias under which `database` is attached for this test; what the test commits stays committed."""
    with django_db_blocker.unblock(), attached(database, f"{database.kind}_file") as alias:
        yield alias
