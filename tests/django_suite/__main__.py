"""Runs Django's tests/tasks against JobsBackend: `python -m tests.django_suite <a source tree of Django>`.

DATABASE_URL chooses another database than SQLite in memory.

Their classes name Django's two backends by dotted path, so ours take the places of those two. What is left out asserts
that a backend lacks what ours has, changes the dummy backend's own list, or is the backport's wording (5.2 only).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.conf import settings

from testproject.databases import from_url

DIALECT = django.VERSION[:2]
EXPECTED = {(5, 2): 69, (6, 0): 71, (6, 1): 80}
LEFT_OUT = {
    "ImmediateBackendTestCase.test_cannot_get_result",
    "ImmediateBackendTestCase.test_cannot_refresh_result",
    "ImmediateBackendTestCase.test_cannot_pass_run_after",
    "DummyBackendTestCase.test_refresh_result",
    "DummyBackendTestCase.test_refresh_result_async",
}
WORDING_OF_THE_BACKPORT = {
    "DummyBackendTestCase.test_validate_disallowed_async_task",
    "CustomBackendTestCase.test_enqueue_async_task_on_non_async_backend",
}


def main(source: str) -> int:
    """Return 0 where all of Django's tests that are meant for such a backend were run and passed."""
    sys.path.insert(0, str(Path(source) / "tests"))
    # Its async tests read results by blocking calls.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_jobs"],
        DATABASES={"default": from_url(os.environ.get("DATABASE_URL", "sqlite:///:memory:"))},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TASKS={"default": {"BACKEND": "django_jobs.django_tasks.JobsBackend", "QUEUES": []}},
        USE_TZ=True,
        SECRET_KEY="tests",
    )
    if DIALECT < (6, 0):
        from tests.django_suite import backport

        backport.stand_in()
    django.setup()
    from tests.django_suite import adapters, runner

    adapters.take_places()
    left_out = LEFT_OUT | WORDING_OF_THE_BACKPORT if DIALECT < (6, 0) else LEFT_OUT
    return runner.run(left_out, expected=EXPECTED[DIALECT])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
