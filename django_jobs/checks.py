"""System checks: what can be seen of a project before its first job. Each has a number that never changes."""

from __future__ import annotations

import sqlite3
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections as databases
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from django_jobs.client.tick import why_not
from django_jobs.conf import REDIS_SCHEMES, SETTING, InvalidSettings, in_test_run, read
from django_jobs.connections import connections
from django_jobs.core.message import QUEUE_PATTERN
from django_jobs.core.policy import Policy
from django_jobs.core.routes import ByName
from django_jobs.exceptions import BrokerUnavailable, DuplicateTask, InvalidOptions, InvalidSchedule
from django_jobs.execution.around import around_jobs
from django_jobs.registry import registry

TAG: Final = "django_jobs"
REFERENCE: Final = "docs/reference/checks.md"
SQLITE_VERSION: Final = (3, 35)
"""The first one with RETURNING."""
QUEUE_HINT: Final = "A queue's name is 1 to 128 characters of A-Z a-z 0-9 _ . : -"

AppConfigs = Sequence[AppConfig] | None


def register_all() -> None:
    """Make the checks known to Django; called once the apps are loaded."""
    register(check_settings, TAG)
    register(check_tasks, TAG)
    register(check_schedules, TAG)
    register(check_routes, TAG)
    register(check_eager_for_deployment, TAG, deploy=True)
    register(check_database_settings, TAG)
    register(check_database_for_deployment, TAG, deploy=True)
    register(check_databases, Tags.database)
    register(check_stores, TAG)
    register(check_broker, Tags.database)
    register(check_broker_for_deployment, TAG, deploy=True)


def check_settings(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E001: DJANGO_JOBS has what cannot be used. E004, E012: a store, middleware or carrier of it cannot be loaded."""
    _, problems = read(getattr(settings, SETTING, None))
    if problems:
        return [_error(1, text, f"Correct the setting {SETTING}.") for text in problems]
    try:
        _ = connections.broker, connections.results
    except InvalidSettings as error:
        return [_error(4, str(error), "Correct the dotted path, or install what it needs.")]
    try:
        around_jobs(connections.policy)
    except ImproperlyConfigured as error:
        return [_error(12, str(error), "Workers refuse to start. Correct the dotted path.")]
    return []


def check_stores(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E010: results are asked for in a store into which the broker never writes them."""
    policy = _policy()
    if policy is None or policy.broker != "database" or policy.result_store in {None, "database"}:
        return []
    return [
        _error(
            10,
            "BROKER is 'database' and RESULT_STORE another store: the database broker keeps results beside the jobs, "
            "in their transaction, and nobody would find them elsewhere.",
            "Leave RESULT_STORE out, or use another BROKER too.",
        )
    ]


def wrong_with_task_backend(alias: str, queues: Sequence[str]) -> list[CheckMessage]:
    """E020, E021, W020: what is wrong with an alias of TASKS; asked by its backend when Django checks TASKS."""
    found: list[CheckMessage] = []
    if not apps.is_installed("django_jobs"):
        found.append(
            _error(20, f"TASKS[{alias!r}] needs the app.", 'Add "django_jobs" to INSTALLED_APPS, and migrate.')
        )
    found.extend(
        _error(21, f"TASKS[{alias!r}]['QUEUES'] has {name!r}, which no queue can be called.", QUEUE_HINT)
        for name in queues
        if not QUEUE_PATTERN.match(name)
    )
    policy = _policy()
    if policy is not None and not policy.keeps_results:
        text = f"RESULT_STORE is None: of tasks of TASKS[{alias!r}] that succeed nothing is kept, and get_result fails."
        found.append(_warning(20, text, "Leave RESULT_STORE out, or accept it and silence this warning."))
    return found


def check_broker(app_configs: AppConfigs, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W006 to W010: what endangers jobs in Redis; asks the server, with `check --database` and before migrate."""
    policy = _policy()
    if policy is None or policy.database not in (databases or ()):
        return []
    return check_broker_for_deployment(app_configs)


def check_broker_for_deployment(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """W006 to W010 with `check --deploy`. A server that does not answer is not a fault of the project."""
    try:
        risks = connections.broker.risks()
    except (InvalidSettings, BrokerUnavailable):
        return []
    return [made for name, detail in sorted(risks.items()) if (made := _risk(name, detail)) is not None]


def _risk(name: str, detail: str) -> CheckMessage | None:
    if name == "eviction":
        text = f"Redis may evict jobs: its maxmemory-policy is {detail}. When memory is short it drops them silently."
        return _warning(6, text, "Set maxmemory-policy to noeviction: then an enqueue fails with BrokerFull instead.")
    if name == "persistence":
        text = f"Redis keeps jobs in memory only ({detail}): all of them are lost when it restarts."
        return _warning(
            7,
            text,
            "Set appendonly to yes; by everysec a crash loses 2 s at most, by always nothing.",
        )
    if name == "version":
        text = f"Redis is {detail}; 6.2 is the oldest that has the commands which are used."
        return _warning(8, text, "Use Redis 6.2, Valkey 7.2, or newer.")
    if name == "shared":
        text = f"Jobs are in the Redis of CACHES[{detail!r}]: cache.clear() empties the database, and the jobs with it."
        return _warning(9, text, "Give CACHES an alias 'jobs' with another database number, or BROKER a URL.")
    if name == "open":
        text = f"Redis at {detail} is not on this machine and is used without a password: who reaches it can run jobs."
        return _warning(10, text, "Set a password (requirepass or an ACL user) and put it into the URL.")
    return None


def check_tasks(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E002: two tasks have one name. E003: a jobs.py or tasks.py cannot be imported. E011: options that clash."""
    try:
        registry.discover()
    except DuplicateTask as error:
        return [_error(2, str(error), "Jobs find their function by this name.")]
    except Exception as error:  # noqa: BLE001  whatever a project's module does at import is told, not raised
        told = "".join(traceback.format_exception_only(error)).strip()
        text = f"A jobs.py or tasks.py cannot be imported: {told} ({_place(error)})."
        return [_error(3, text, "Workers refuse to start until it can: its tasks are unknown.")]
    policy = _policy()
    return [] if policy is None else list(_clashing_options(policy))


def _clashing_options(policy: Policy) -> Iterator[CheckMessage]:
    for spec in registry:
        try:
            options = spec.options_over(policy.task_defaults)
        except InvalidOptions as error:
            text = f"The options of {spec.name} do not go together: {error}"
            yield _error(11, text, "Workers refuse to start. Correct @job or TASK_DEFAULTS.")
            continue
        if options.atomic and (policy.broker == "redis" or policy.broker.startswith(REDIS_SCHEMES)):
            text = f"{spec.name} has atomic=True, and jobs are in Redis, which cannot commit with what a job writes."
            yield _error(30, text, "Each of its jobs fails. Leave BROKER out, or remove atomic from the task.")


def check_schedules(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E008: a schedule in SCHEDULES cannot be used. E009: a task's own schedule has the same name."""
    policy = _policy()
    if policy is None:
        return []
    problems = dict(policy.broken_schedules)
    try:
        in_code = {spec.name for spec in registry if spec.given.get("schedule") is not None}
        problems |= {name: why for name, declared in policy.schedules.items() if (why := why_not(declared))}
    except Exception:  # noqa: BLE001  another check says which module it is
        in_code = set()
    found = [
        _error(8, f"{SETTING}['SCHEDULES'][{name!r}] cannot be used: {why}", "It does not fire; all others do.")
        for name, why in problems.items()
    ]
    for name in sorted(in_code & policy.schedules.keys()):
        text = f"The schedule {name!r} is declared by @job(schedule=...) and again in {SETTING}['SCHEDULES']."
        found.append(_error(9, text, "Only the setting counts. Remove one, or give that in the setting another name."))
    return found


def check_routes(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E022: a function in ROUTES cannot be imported. W021: a pattern in ROUTES fits no task."""
    policy = _policy()
    if policy is None or not policy.routes.entries:
        return []
    try:
        names = registry.names()
    except Exception:  # noqa: BLE001  another check says which module it is
        return []
    found: list[CheckMessage] = []
    for entry in policy.routes.entries:
        if isinstance(entry, ByName):
            if not any(entry.pattern.match(name) for name in names):
                text = f"{SETTING}['ROUTES'] has {entry.text!r}, which fits no task of this project."
                found.append(_warning(21, text, "Correct the name, or remove the entry."))
            continue
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001  whatever a project's module does at import is told, not raised
            text = f"{SETTING}['ROUTES'] has {entry.path!r}, which cannot be imported: {error}."
            found.append(_error(22, text, "Correct the dotted path: each enqueue that has to ask it fails."))
    return found


def check_eager_for_deployment(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """W022: jobs run at the call; only `check --deploy` asks."""
    policy = _policy()
    if policy is None or not policy.eager:
        return []
    text = f"{SETTING}['EAGER'] is set: jobs run inside the requests that would enqueue them, and nothing is stored."
    return [_warning(22, text, "Set it in the settings of tests only.")]


def check_database_settings(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """E005, E006, W001, W002: what the database's settings say, without a query."""
    policy = _policy()
    if policy is None or policy.broker != "database":
        return []
    found: list[CheckMessage] = []
    connection = databases[policy.database]
    if connection.vendor == "sqlite":
        found.extend(_sqlite(connection, policy))
        if connection.settings_dict["ATOMIC_REQUESTS"]:
            found.extend(_deferred(connection, policy))
    if connection.vendor == "mysql":
        found.extend(_isolation(connection, policy))
    return found


def check_database_for_deployment(app_configs: AppConfigs, **kwargs: Any) -> list[CheckMessage]:
    """W001 also where requests are not atomic: only `check --deploy` asks, since most projects need not mind."""
    policy = _policy()
    if policy is None or policy.broker != "database":
        return []
    connection = databases[policy.database]
    if connection.vendor != "sqlite" or connection.settings_dict["ATOMIC_REQUESTS"]:
        return []
    return list(_deferred(connection, policy))


def check_databases(
    app_configs: AppConfigs, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E007, W003, W004, W005: what the database itself says; runs with `check --database`, and before migrate."""
    policy = _policy()
    if policy is None or policy.database not in (databases or ()):
        return []
    connection = _connection(policy)
    found = list(_unmigrated(connection, policy))
    if not found:
        found.extend(_broken_schedules(policy))
    if policy.broker == "database":
        found.extend(_skip_locked(connection, policy))
        found.extend(_lost_commits(connection, policy))
    return found


def _sqlite(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    if connection.is_in_memory_db() and not in_test_run():  # type: ignore[attr-defined]  # only SQLite's has it
        yield _error(
            5,
            f"The jobs are in the database {policy.database!r}, which is SQLite in memory: a worker is another process "
            "and would never see them.",
            "Give DATABASES a file name, or DJANGO_JOBS['DATABASE'] another alias.",
        )
    if sqlite3.sqlite_version_info < SQLITE_VERSION:
        yield _error(
            6,
            f"SQLite {sqlite3.sqlite_version} has no RETURNING, which jobs are claimed with; 3.35 has.",
            "Use a Python whose sqlite3 is built with a newer SQLite, or another database.",
        )


def _deferred(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") or "DEFERRED"
    if str(mode).upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield _warning(
            1,
            f"The SQLite database {policy.database!r} begins transactions as {mode}: one that reads first and enqueues "
            'then fails at once with "database is locked" where another process has written in between.',
            "Set OPTIONS = {'transaction_mode': 'IMMEDIATE'} for it. Workers, and enqueues outside of a transaction, "
            "do not need it.",
        )


def _isolation(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    level = connection.settings_dict.get("OPTIONS", {}).get("isolation_level", "read committed")
    if level is None or str(level).lower() != "read committed":
        shown = "the server's own" if level is None else repr(level)
        yield _warning(
            2,
            f"The database {policy.database!r} has {shown} isolation level. Above READ COMMITTED, MySQL and MariaDB "
            "lock gaps between rows, and enqueues inside long transactions make workers wait or run into deadlocks.",
            "Leave isolation_level out of OPTIONS: Django's default is READ COMMITTED.",
        )


def _unmigrated(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    if sys.argv[1:2] == ["migrate"]:  # it runs these checks first, and is about to mend that
        return
    executor = MigrationExecutor(connection)
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "django_jobs"]
    if missing := [migration.name for migration, _ in executor.migration_plan(targets)]:
        yield _warning(
            3,
            f"The database {policy.database!r} lacks the migrations {', '.join(missing)} of django_jobs: jobs can be "
            "neither enqueued nor run.",
            f"Run manage.py migrate django_jobs --database {policy.database}.",
        )


def _broken_schedules(policy: Policy) -> Iterator[CheckMessage]:
    from django_jobs.models import PeriodicSchedule

    if PeriodicSchedule._meta.db_table not in _connection(policy).introspection.table_names():
        return  # `migrate` is about to make it
    for row in PeriodicSchedule.objects.using(policy.database).filter(missing=False, paused=False):
        try:
            why = row.problem or why_not(row.declaration())
        except InvalidSchedule as error:
            why = str(error)
        except Exception:  # noqa: BLE001  another check says which module it is
            return
        if why:
            yield _warning(5, f"The schedule {row.name!r} does not fire: {why}", "Edit, pause or delete it.")


def _skip_locked(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    if connection.vendor == "mysql" and not connection.features.has_select_for_update_skip_locked:
        version = ".".join(map(str, connection.mysql_version))  # type: ignore[attr-defined]  # only MySQL's has it
        yield _error(
            7,
            f"The database {policy.database!r} is {connection.display_name} {version}, which has no SKIP LOCKED: "
            "workers would wait for each other.",
            "Use MariaDB 10.6 or MySQL 8.0.1, or newer.",
        )


def _lost_commits(connection: BaseDatabaseWrapper, policy: Policy) -> Iterator[CheckMessage]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        (value,) = cursor.fetchone()
    if value == "off":
        yield _warning(
            4,
            f"PostgreSQL's synchronous_commit is off for the database {policy.database!r}: a crash of the server loses "
            "what was committed just before, also enqueued jobs and their ends, which then run again.",
            "Set it to on (or local) for this database, or accept the loss and silence this warning.",
        )


def _connection(policy: Policy) -> BaseDatabaseWrapper:
    return databases[policy.database]


def _policy() -> Policy | None:
    """Return the settings, or None where E001 has said what is wrong with them."""
    try:
        return connections.policy
    except InvalidSettings:
        return None


def _place(error: Exception) -> str:
    """Return file:line of where an import went wrong."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "no place known"


def _error(number: int, text: str, hint: str) -> CheckMessage:
    return Error(text, hint=f"{hint} See {REFERENCE}.", id=f"django_jobs.E{number:03}")


def _warning(number: int, text: str, hint: str) -> CheckMessage:
    return CheckWarning(text, hint=f"{hint} See {REFERENCE}.", id=f"django_jobs.W{number:03}")
