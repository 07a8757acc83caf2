"""System checks: each is triggered here, and a project without its trouble does not see it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.checks import CheckMessage, run_checks
from django.core.checks.registry import registry as check_registry
from django.core.management import call_command
from django.db import connections as databases
from django.test import override_settings

from django_jobs import checks, job
from django_jobs.connections import connections
from django_jobs.core.policy import Policy
from django_jobs.registry import registry
from tests.services import Database

Ids = Callable[..., set[str]]


def ids(messages: list[CheckMessage]) -> set[str]:
    for message in messages:
        assert message.hint, f"{message.id} has no hint"
        assert checks.REFERENCE in str(message.hint)
    return {str(message.id) for message in messages}


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Give the settings of a SQLite file that is what jobs are in; the test changes them."""
    settings = databases.configure_settings(
        {"default": {}, "jobs_file": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "jobs.sqlite3"}}
    )["jobs_file"]
    databases.settings["jobs_file"] = settings
    with override_settings(DJANGO_JOBS={"DATABASE": "jobs_file"}):
        yield settings
    databases["jobs_file"].close()
    del databases["jobs_file"]
    del databases.settings["jobs_file"]


def test_this_project_has_no_trouble() -> None:
    assert run_checks(tags=[checks.TAG]) == []


def test_every_check_is_registered_with_django() -> None:
    registered = check_registry.get_checks(include_deployment_checks=True)
    ours = {name: getattr(checks, name) for name in dir(checks) if name.startswith("check_")}
    assert len(ours) >= 5
    assert [name for name, check in ours.items() if check not in registered] == []


@override_settings(DJANGO_JOBS={"BROKR": "database", "MAX_CRASHES": 0, "TASK_DEFAULTS": {"max_retry": 1}})
def test_e001_tells_every_setting_that_cannot_be_used() -> None:
    messages = checks.check_settings(None)
    assert ids(messages) == {"django_jobs.E001"}
    assert [
        next(key for key in ("BROKR", "MAX_CRASHES", "TASK_DEFAULTS") if key in message.msg) for message in messages
    ]
    assert len(messages) == 3
    assert checks.check_database_settings(None) == []
    assert checks.check_database_for_deployment(None) == []
    assert checks.check_databases(None, databases=["default"]) == []


@override_settings(DJANGO_JOBS={"BROKER": "nowhere.Broker"})
def test_e004_tells_a_store_that_cannot_be_loaded() -> None:
    (message,) = checks.check_settings(None)
    assert ids([message]) == {"django_jobs.E004"}
    assert "nowhere.Broker" in message.msg


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of an installed app whose jobs.py the test writes."""
    folder = tmp_path / "checked_app"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_discovered", False)
    known = set(registry._specs)
    with override_settings(INSTALLED_APPS=["checked_app"]):
        yield folder
    for name in set(registry._specs) - known:
        registry.unregister(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "checked_app"]:
        del sys.modules[name]


def test_e002_tells_a_name_that_two_tasks_have(app: Path) -> None:
    (app / "jobs.py").write_text(
        "from django_jobs import job\n@job(name='checked')\ndef one(): ...\n@job(name='checked')\ndef two(): ...\n"
    )
    (message,) = checks.check_tasks(None)
    assert ids([message]) == {"django_jobs.E002"}
    assert "checked_app.jobs.one" in message.msg
    assert "checked_app.jobs.two" in message.msg


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("import nothing_like_that\n", "ModuleNotFoundError: No module named 'nothing_like_that'", 1),
        ("\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("\ndef broken(:\n", "SyntaxError", 2),
        ("from django_jobs import job\n@job(max_retry=3)\ndef one(): ...\n", "Did you mean max_retries", 0),
    ],
)
def test_e003_tells_a_module_that_cannot_be_imported_and_where(app: Path, text: str, told: str, line: int) -> None:
    (app / "jobs.py").write_text(text)
    (message,) = checks.check_tasks(None)
    assert ids([message]) == {"django_jobs.E003"}
    assert told in message.msg
    if line:
        assert f"{app / 'jobs.py'}:{line})" in message.msg


def test_tasks_that_can_be_imported_are_no_trouble(app: Path) -> None:
    (app / "jobs.py").write_text("from django_jobs import job\n@job\ndef one(): ...\n")
    assert checks.check_tasks(None) == []
    assert registry.get("checked_app.jobs.one") is not None


def test_e005_tells_a_database_that_no_worker_can_see(
    sqlite_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checks.check_database_settings(None) == []
    sqlite_file["NAME"] = ":memory:"
    assert checks.check_database_settings(None) == []
    monkeypatch.delattr(mail, "outbox")  # outside of tests
    assert ids(checks.check_database_settings(None)) == {"django_jobs.E005"}


def test_e006_tells_a_sqlite_without_returning(sqlite_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert ids(checks.check_database_settings(None)) == {"django_jobs.E006"}


def test_w001_recommends_immediate_where_requests_are_transactions(sqlite_file: dict[str, Any]) -> None:
    sqlite_file["ATOMIC_REQUESTS"] = True
    assert ids(checks.check_database_settings(None)) == {"django_jobs.W001"}
    assert checks.check_database_for_deployment(None) == []
    sqlite_file["OPTIONS"]["transaction_mode"] = "immediate"
    assert checks.check_database_settings(None) == []


def test_w001_recommends_immediate_elsewhere_only_before_a_deployment(sqlite_file: dict[str, Any]) -> None:
    assert checks.check_database_settings(None) == []
    assert ids(checks.check_database_for_deployment(None)) == {"django_jobs.W001"}
    sqlite_file["OPTIONS"]["transaction_mode"] = "EXCLUSIVE"
    assert checks.check_database_for_deployment(None) == []


@override_settings(DJANGO_JOBS={"BROKER": "django_jobs.backends.memory.MemoryBroker"})
def test_another_broker_does_not_mind_the_database() -> None:
    assert checks.check_database_settings(None) == []
    assert checks.check_database_for_deployment(None) == []


def jobs_in(alias: str) -> Any:
    return override_settings(DJANGO_JOBS={"DATABASE": alias})


def test_a_migrated_database_is_no_trouble(database_alias: str) -> None:
    with jobs_in(database_alias):
        assert checks.check_database_settings(None) == []
        assert checks.check_databases(None, databases=[database_alias]) == []


def test_w003_tells_migrations_that_are_missing_unless_migrate_is_about_to_run_them(
    sqlite_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        (message,) = checks.check_databases(None, databases=["jobs_file"])
        assert ids([message]) == {"django_jobs.W003"}
        assert "0001_initial" in message.msg
        assert "migrate django_jobs --database jobs_file" in str(message.hint)
        assert checks.check_databases(None, databases=["default"]) == []
        assert checks.check_databases(None) == []
        monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
        assert checks.check_databases(None, databases=["jobs_file"]) == []
        call_command("migrate", "django_jobs", database="jobs_file", verbosity=0)
        monkeypatch.undo()
        assert checks.check_databases(None, databases=["jobs_file"]) == []


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_w002_warns_of_an_isolation_level_that_locks_gaps(database: Database, database_alias: str) -> None:
    options = databases.settings[database_alias]["OPTIONS"]
    with jobs_in(database_alias):
        for level, expected in ((None, 1), ("repeatable read", 1), ("serializable", 1), ("Read Committed", 0)):
            options["isolation_level"] = level
            assert len(checks.check_database_settings(None)) == expected, level
        options["isolation_level"] = "repeatable read"
        assert ids(checks.check_database_settings(None)) == {"django_jobs.W002"}


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_e007_refuses_a_server_without_skip_locked(
    database: Database, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = databases[database_alias]
    monkeypatch.setattr(type(connection), "mysql_version", (10, 5, 1))
    monkeypatch.setattr(type(connection.features), "has_select_for_update_skip_locked", False)
    messages = list(checks._skip_locked(connection, Policy(database=database_alias)))
    assert ids(messages) == {"django_jobs.E007"}
    assert "10.5.1" in messages[0].msg


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_w004_tells_commits_that_a_crash_loses(database: Database, database_alias: str) -> None:
    with jobs_in(database_alias):
        with databases[database_alias].cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        assert ids(checks.check_databases(None, databases=[database_alias])) == {"django_jobs.W004"}
        connections.reset()


ROUTES = {"testproject.shop.jobs.*": "shop", "testproject.shop.jobs.ad": "typo"}


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ({"testproject.shop.jobs.*": "shop"}, set()),
        (ROUTES, {"django_jobs.W021"}),
        ([f"{__name__}.ids"], set()),
        (["no.such.module.route"], {"django_jobs.E022"}),
        ([f"{__name__}.no_such"], {"django_jobs.E022"}),
    ],
)
def test_a_route_that_leads_nowhere_is_told(routes: Any, expected: set[str]) -> None:
    with override_settings(DJANGO_JOBS={"ROUTES": routes}):
        assert ids(run_checks(tags=[checks.TAG])) == expected


@override_settings(DJANGO_JOBS={"TASK_DEFAULTS": {"soft_time_limit": 10}})
def test_e011_tells_a_soft_limit_above_the_hard_one() -> None:
    job(name="tests.clashing", time_limit=5)(lambda: None)
    try:
        (message,) = [each for each in checks.check_tasks(None) if "tests.clashing" in each.msg]
    finally:
        registry.unregister("tests.clashing")
    assert ids([message]) == {"django_jobs.E011"}
    assert "tests.clashing" in message.msg
    assert "TASK_DEFAULTS" in message.msg


def test_eager_is_told_before_a_deployment() -> None:
    with override_settings(DJANGO_JOBS={"EAGER": True}):
        assert ids(run_checks(tags=[checks.TAG])) == set()
        assert "django_jobs.W022" in ids(run_checks(tags=[checks.TAG], include_deployment_checks=True))
    assert "django_jobs.W022" not in ids(run_checks(tags=[checks.TAG], include_deployment_checks=True))


@pytest.mark.parametrize(("broker", "told"), [("redis://127.0.0.1:6379", {"django_jobs.E030"}), ("database", set())])
def test_e030_tells_an_atomic_task_whose_broker_cannot_be(broker: str, told: set[str]) -> None:
    job(name="tests.atomic", atomic=True)(lambda: None)
    try:
        with override_settings(DJANGO_JOBS={"BROKER": broker}):
            found = [each for each in checks.check_tasks(None) if "tests.atomic" in each.msg]
    finally:
        registry.unregister("tests.atomic")
    assert ids(found) == told


@override_settings(DJANGO_JOBS={"TASK_DEFAULTS": {"atomic": True}})
def test_e011_tells_a_coroutine_function_that_would_be_atomic() -> None:
    async def function() -> None: ...

    job(name="tests.clashing")(function)
    try:
        (message,) = [each for each in checks.check_tasks(None) if "tests.clashing" in each.msg]
    finally:
        registry.unregister("tests.clashing")
    assert ids([message]) == {"django_jobs.E011"}
    assert "atomic=True is for plain functions" in message.msg
