"""Settings of the workers that these tests start; sessions are short, so that rescues can be waited for."""

from __future__ import annotations

import json
import os

from testproject.databases import from_url

SECRET_KEY = "tests"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["django_jobs", "tests.integration.site"]
DATABASES = {"default": from_url(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DJANGO_JOBS = json.loads(os.environ["JOBS_SETTINGS"])
TASKS = {"default": {"BACKEND": "django_jobs.django_tasks.JobsBackend"}}
