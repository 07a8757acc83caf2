"""Readable failures of the contract suites, and how long Hypothesis tries."""

from __future__ import annotations

import pytest

from tests import profiles

pytest.register_assert_rewrite("django_jobs.testing")
profiles.load()
