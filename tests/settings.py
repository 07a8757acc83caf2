"""Settings of the test-suite: the test project's, quick and quiet, with switches for the cells of the matrix.

TEST_DATABASE (sqlite, postgres or mysql) chooses what the `default` alias is; TEST_USE_TZ=0 and TEST_AUTO_FIELD
(a class name of django.db.models) change these settings. Tests that run on each database make their own: see
`tests.services`.
"""

from __future__ import annotations

import os

from testproject.databases import from_url
from testproject.settings.base import *  # noqa: F403
from testproject.settings.base import VAR_DIR
from tests.services import SERVICES

DEBUG = False
SECRET_KEY = "tests"
USE_TZ = os.environ.get("TEST_USE_TZ", "1") == "1"
DEFAULT_AUTO_FIELD = f"django.db.models.{os.environ.get('TEST_AUTO_FIELD', 'BigAutoField')}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

_kind = os.environ.get("TEST_DATABASE", "sqlite")
_url = f"sqlite:///{VAR_DIR / 'suite.sqlite3'}" if _kind == "sqlite" else f"{SERVICES[_kind].url}/suite"
# Django's test runner puts a database of its own in its place: one in memory, or test_suite.
DATABASES = {"default": from_url(_url)}
TASKS = {"default": {"BACKEND": "django_jobs.django_tasks.JobsBackend", "QUEUES": []}}
