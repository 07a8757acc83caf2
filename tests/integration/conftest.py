"""A site for real workers: each test gets empty tables on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from django_jobs.connections import connections as stores
from tests.backends.redis.server import Server
from tests.integration.harness import SETTINGS, Site
from tests.services import Database


@pytest.fixture
def site(database: Database, database_alias: str, settings: Any, tmp_path: Path) -> Iterator[Site]:
    settings.DJANGO_JOBS = SETTINGS | {"DATABASE": database_alias, "NAMESPACE": "jobs"}
    with connections[database_alias].cursor() as cursor:
        for model in apps.get_app_config("django_jobs").get_models():
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
    made = Site(database, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=["the database", "redis"])
def either_broker(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Any, site: Site
) -> Iterator[dict[str, Any]]:
    """Give the settings of a worker whose broker is the site's database, then a Redis of the test's own."""
    if request.param == "the database":
        yield {}
        return
    server = Server(tmp_path).start()
    given = {"BROKER": server.url, "RESULT_STORE": server.url}
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **given}
    yield given
    stores.broker.close()
    server.stop()
