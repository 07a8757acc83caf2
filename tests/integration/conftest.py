"""A site for real workers: each test gets empty tables on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

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
