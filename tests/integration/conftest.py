"""A site for real workers: each test gets empty stores, in each kind of database and in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from django_jobs.connections import connections as stores
from tests.backends.redis.server import Server
from tests.conftest import attached
from tests.integration.harness import SETTINGS, Site
from tests.services import DATABASE_KINDS, Database, temporary_database

REDIS = "redis"
"""A kind of site: jobs and results in Redis, schedules and the project's own rows in SQLite."""


@pytest.fixture(scope="session", params=(*DATABASE_KINDS, REDIS))
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Give the migrated database of each kind of site in turn.

    A test that is about SQL itself, or about one vendor, says so by `@pytest.mark.parametrize("database", ...)`.
    """
    directory: Path = tmp_path_factory.mktemp("database")
    kind = "sqlite" if request.param == REDIS else request.param
    with temporary_database(kind, directory) as made, django_db_blocker.unblock():
        with attached(made, "migrating") as alias:
            call_command("migrate", database=alias, verbosity=0)
        yield Database(kind=request.param, url=made.url)


@pytest.fixture(scope="session")
def site_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a Redis server of this process's own."""
    server = Server(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def site(
    database: Database, database_alias: str, settings: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    kept: dict[str, Any] = {}
    if database.kind == REDIS:
        server: Server = request.getfixturevalue("site_redis")
        server.client().flushall()
        kept = {"BROKER": server.url, "RESULT_STORE": server.url}
    settings.DJANGO_JOBS = SETTINGS | {"DATABASE": database_alias, "NAMESPACE": "jobs"} | kept
    with connections[database_alias].cursor() as cursor:
        for model in apps.get_app_config("django_jobs").get_models():
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
    made = Site(database, tmp_path, kept)
    try:
        yield made
    finally:
        made.close()
        stores.broker.close()
