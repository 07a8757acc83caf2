"""The matrix and the static checks: `nox -l` lists them; .ci/run runs all that the README's test command does not."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["static"]

NEWEST_PYTHON = "3.13"
CELLS = [("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1")]
BACKPORT = "django-tasks==0.12.0"
"""Django's tasks on 5.2, which has none of its own."""
TASKS_SUITES = {"5.2": ("3.12", "6.0.10"), "6.0": ("3.12", "6.0.10"), "6.1": ("3.13", "6.1.3")}
"""Django -> the Python, and the release of Django whose tests of tasks are run; 3.11 words one error differently."""
QUICK = ("pytest", "-n", "2", "-m", "not processes and not machines", "--ignore", "tests/backends/redis")
"""What depends on the versions: all but real worker processes, the long state machines, and Redis by itself."""


def _install(session: nox.Session, *, extras: str = "test", django: str = "6.1") -> None:
    """Install the project; MariaDB's driver too in CI, where nothing may be skipped."""
    names = f"{extras},mysql" if os.environ.get("CI") and "mysql" not in extras else extras
    backport = [BACKPORT] if django == "5.2" else []
    session.install("-e", f".[{names}]", f"django~={django}.0", *backport)


def _run_quick(session: nox.Session, *more: str, **environment: str) -> None:
    """Run the quick part, and what fails of it once more by itself: see .ci/second_look.py."""
    shutil.rmtree(".pytest_cache", ignore_errors=True)
    try:
        session.run(*QUICK, *more, *session.posargs, env=environment)
    except CommandFailed:
        session.run("python", ".ci/second_look.py", "1", env=environment)


@nox.session
@nox.parametrize("python,django", CELLS, ids=[f"{python}-{django}" for python, django in CELLS])
def suite(session: nox.Session, django: str) -> None:
    """Run the quick part of the suite on one pair of versions."""
    _install(session, django=django)
    # What the stores do with SQL and clocks is looked at on the oldest and the newest pair, and under USE_TZ=False.
    _run_quick(session, *(["--ignore", "tests/backends"] if django == "6.0" else []))


@nox.session(python=NEWEST_PYTHON)
def without_time_zones(session: nox.Session) -> None:
    """Run the quick part of the suite under USE_TZ=False."""
    _install(session)
    _run_quick(session, TEST_USE_TZ="0")


@nox.session
@nox.parametrize("python,django", [(cell[0], name) for name, cell in TASKS_SUITES.items()], ids=list(TASKS_SUITES))
def django_tasks(session: nox.Session, django: str) -> None:
    """Run Django's own tests of tasks against our backend; they come with Django's source from PyPI.

    On SQLite, and in CI on PostgreSQL too, where a connection that stays open is an error.
    """
    release = TASKS_SUITES[django][1]
    installed = [f"django~={django}.0", BACKPORT] if django == "5.2" else [f"django=={release}"]
    session.install("-e", ".[postgres]", *installed)
    source = Path(session.create_tmp()) / f"django-{release}"
    if not source.exists():
        session.install("pip", "setuptools>=77", "wheel")
        session.run(
            *("python", "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"),
            *("--dest", str(source.parent), f"Django=={release}"),
        )
        with tarfile.open(f"{source}.tar.gz") as archive:
            archive.extractall(source.parent, filter="data")
    postgres = f"{os.environ.get('TEST_POSTGRES_URL', 'postgres://postgres@127.0.0.1:5432')}/django_tasks"
    for url in ("sqlite:///:memory:", *([postgres] if os.environ.get("CI") else [])):
        session.run("python", "-W", "error", "-m", "tests.django_suite", str(source), env={"DATABASE_URL": url})


@nox.session(python=NEWEST_PYTHON)
def static(session: nox.Session) -> None:
    """Lint, format, types, import contracts, missing migrations, and what the wheel holds."""
    _install(session, extras="test,lint,mysql")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    for auto_field in ("AutoField", "BigAutoField"):
        session.run(
            *("python", "manage.py", "makemigrations", "--check", "--dry-run", "--settings", "tests.settings"),
            env={"TEST_AUTO_FIELD": auto_field},
        )


@nox.session(python=NEWEST_PYTHON)
def coverage(session: nox.Session) -> None:
    """Run the whole suite and report the branches that it does not reach, those of worker processes included."""
    _install(session)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")
