"""Fixtures of pytest: name this module in `pytest_plugins` of the top conftest.py. Needs pytest; not pytest-django."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

from django_jobs.conf import SETTING
from django_jobs.testing.jobs import Jobs
from django_jobs.testing.stores import memory_stores


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Give the jobs of the configured broker; a database broker needs the test's `db` or `django_db` too."""
    made = Jobs()
    yield made
    made.close()


@pytest.fixture
def jobs_in_memory() -> Iterator[Jobs]:
    """Give jobs in a store of this test's own, in memory."""
    with memory_stores():
        made = Jobs()
        yield made
        made.close()


@pytest.fixture
def jobs_eager() -> Iterator[None]:
    """Run jobs at the call, and raise their errors there."""
    given = getattr(settings, SETTING, None) or {}
    with override_settings(**{SETTING: {**given, "EAGER": True, "EAGER_PROPAGATES": True}}):
        yield
