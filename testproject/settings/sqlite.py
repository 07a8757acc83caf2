"""The default: one SQLite file under testproject/var/, no server. DATABASE_URL takes its place where it is set."""

from __future__ import annotations

import os

from testproject.databases import from_url
from testproject.settings.base import *  # noqa: F403
from testproject.settings.base import VAR_DIR

DATABASES = {"default": from_url(os.environ.get("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'testproject.sqlite3'}")}
