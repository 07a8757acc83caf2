"""The app: its rows of tasks follow the code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from django_jobs import job
from django_jobs.apps import DjangoJobsConfig, after_migrate, sync_definitions
from django_jobs.models import TaskDefinition
from django_jobs.registry import registry

pytestmark = pytest.mark.django_db


def sample(value: int, *, name: str = "x") -> int:
    """Do something.

    With more to say.
    """
    return value


@pytest.fixture
def declared() -> Iterator[str]:
    job(name="tests.sample", queue="mail", priority=3, retry_on=(KeyError,))(sample)
    yield "tests.sample"
    registry.unregister("tests.sample")


def row() -> TaskDefinition:
    return TaskDefinition.objects.get(name="tests.sample")


def test_migrate_has_filled_the_rows() -> None:
    assert TaskDefinition.objects.filter(name="testproject.shop.jobs.add", missing=False).exists()


def test_a_new_task_gets_a_row_that_says_what_the_code_says(declared: str) -> None:
    assert sync_definitions() == len(registry.names())
    made = row()
    assert (made.module, made.queue, made.priority, made.is_async) == (__name__, "mail", 3, False)
    assert made.doc.startswith("Do something.\n\nWith more")
    assert made.signature == "(value: 'int', *, name: 'str' = 'x') -> 'int'"
    assert made.options == '{"priority": 3, "queue": "mail", "retry_on": ["builtins.KeyError"]}'
    assert not made.missing


@override_settings(DJANGO_JOBS={"DEFAULT_QUEUE": "slow", "TASK_DEFAULTS": {"priority": 7}})
def test_rows_show_the_settings_behind_the_options() -> None:
    sync_definitions()
    found = TaskDefinition.objects.get(name="testproject.shop.jobs.add")
    assert (found.queue, found.priority, found.options) == ("slow", 7, "{}")


@override_settings(DJANGO_JOBS={"ROUTES": {"testproject.*": "routed", "tests.*": "routed"}})
def test_a_row_shows_the_queue_that_routes_give(declared: str) -> None:
    sync_definitions()
    assert TaskDefinition.objects.get(name="testproject.shop.jobs.add").queue == "routed"
    assert row().queue == "mail", "its code names one"


def test_a_row_follows_the_code_and_keeps_when_it_was_first_seen(declared: str) -> None:
    sync_definitions()
    day_ago = timezone.now() - timedelta(days=1)
    TaskDefinition.objects.filter(name=declared).update(
        queue="old", doc="", first_seen_at=day_ago, last_seen_at=day_ago
    )
    sync_definitions()
    assert (row().queue, row().doc[:12], row().first_seen_at) == ("mail", "Do something", day_ago)
    assert row().last_seen_at > day_ago


def test_a_task_that_is_gone_is_marked_and_comes_back(declared: str) -> None:
    sync_definitions()
    pk = row().pk
    registry.unregister(declared)
    sync_definitions()
    assert row().missing
    job(name="tests.sample")(sample)
    sync_definitions()
    assert not row().missing
    assert row().pk == pk


def test_what_is_up_to_date_costs_three_statements(declared: str, django_assert_num_queries: Any) -> None:
    sync_definitions()
    with django_assert_num_queries(3):
        sync_definitions()


def test_only_our_own_database_is_filled(declared: str) -> None:
    after_migrate(using="elsewhere")
    assert not TaskDefinition.objects.filter(name=declared).exists()
    after_migrate(using="default")
    assert TaskDefinition.objects.filter(name=declared).exists()


def test_migrating_back_to_nothing_does_not_look_for_the_table(declared: str) -> None:
    class Migrated:
        def get_model(self, label: str, name: str) -> Any:
            raise LookupError(name)

    after_migrate(using="default", apps=Migrated())
    assert not TaskDefinition.objects.filter(name=declared).exists()


def test_a_broken_jobs_module_does_not_stop_migrate(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ImportError("of somebody's own")

    monkeypatch.setattr(registry, "discover", fail)
    call_command("migrate", verbosity=0)
    assert "of somebody's own" in caplog.text


def test_the_app_is_what_migrations_of_projects_refer_to() -> None:
    config = apps.get_app_config("django_jobs")
    assert isinstance(config, DjangoJobsConfig)
    assert config.default_auto_field == "django.db.models.BigAutoField"


def test_the_package_can_be_imported_without_django_being_set_up() -> None:
    code = (
        "import django_jobs, sys\n"
        "assert 'django' not in sys.modules, 'django was imported'\n"
        "for name in django_jobs.__all__: getattr(django_jobs, name)\n"
        "@django_jobs.job(name='x')\ndef f(a): return a\n"
        "assert f(3) == 3\n"
        "from django.apps import apps; assert not apps.ready\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    import django_jobs

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        django_jobs.nothing  # noqa: B018
    assert set(django_jobs.__all__) <= set(dir(django_jobs))
