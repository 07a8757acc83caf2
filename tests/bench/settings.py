"""Settings of the project that is measured: nothing is configured but the store of one run."""

from __future__ import annotations

import json
import os

from testproject.databases import from_url

SECRET_KEY = "bench"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["django_jobs", "tests.bench"]
DATABASES = {"default": from_url(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DJANGO_JOBS = json.loads(os.environ.get("BENCH_JOBS", "{}"))
