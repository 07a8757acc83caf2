"""MariaDB or MySQL: the server and database of DATABASE_URL, else `testproject` on loopback."""

from __future__ import annotations

import os

from testproject.databases import from_url
from testproject.settings.base import *  # noqa: F403

DATABASES = {"default": from_url(os.environ.get("DATABASE_URL") or "mysql://root@127.0.0.1:3306/testproject")}
