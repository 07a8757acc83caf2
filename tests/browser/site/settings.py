"""Settings of the site and the worker that the browser tests start: the admin under a strict security policy."""

from __future__ import annotations

import os

from testproject.databases import from_url
from testproject.settings.base import *  # noqa: F403
from testproject.settings.base import INSTALLED_APPS as TEST_PROJECT_APPS
from testproject.settings.base import MIDDLEWARE as TEST_PROJECT_MIDDLEWARE

DEBUG = False
SECRET_KEY = "tests"
INSTALLED_APPS = [name for name in TEST_PROJECT_APPS if not name.startswith("testproject.")] + ["tests.browser.site"]
MIDDLEWARE = ["tests.browser.site.csp.strict", *TEST_PROJECT_MIDDLEWARE]
ROOT_URLCONF = "tests.browser.site.urls"
DATABASES = {"default": from_url(os.environ["DATABASE_URL"])}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TIME_ZONE = "Europe/Berlin"
DJANGO_JOBS = {"NAMESPACE": "test_jobs", "SESSION_RENEW_SECONDS": 1}
