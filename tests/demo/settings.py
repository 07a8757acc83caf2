"""Settings of the demo's processes in the tests: the test project's, with their own directory and short sessions."""

from __future__ import annotations

import os
from pathlib import Path

from testproject.settings.sqlite import *  # noqa: F403

VAR_DIR = Path(os.environ["DEMO_TEST_VAR"])
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A killed worker's jobs go back after some seconds and not after half a minute; shorter, a busy machine looks dead.
DJANGO_JOBS = {"SESSION_RENEW_SECONDS": 0.5, "SESSION_TIMEOUT_SECONDS": 4.0}
