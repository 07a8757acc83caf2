"""Rules of the house that neither ruff, mypy nor import-linter can check."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "django_jobs"
SOURCE_FOLDERS = ("django_jobs", "testproject", "tests")
TEXT_SUFFIXES = {".py", ".md", ".html", ".css", ".js", ".sh", ".toml", ".yaml"}
MAX_LINES = 400
EDGES = {"conf", "connections", "checks", "apps", "management", "testing"}
"""Modules and packages directly under django_jobs that may read Django's settings."""


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def texts() -> Iterator[Path]:
    for folder in (*SOURCE_FOLDERS, "docs", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in TEXT_SUFFIXES and "var" not in path.relative_to(ROOT).parts:
                yield path
    yield from (path for path in sorted(ROOT.glob("*")) if path.suffix in TEXT_SUFFIXES)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_names(path: Path) -> set[str]:
    """Return `module` for each import and `module.name` for each name that is imported from one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_no_file_is_longer_than_its_one_purpose_needs() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in sources(*SOURCE_FOLDERS)}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_nothing_is_left_to_do_in_a_comment() -> None:
    mark = re.compile(rf"\b({'|'.join(('TO' + 'DO', 'FIX' + 'ME', 'X' * 3))})\b")
    assert [named(path) for path in texts() if mark.search(path.read_text())] == []


def test_no_path_of_one_machine_is_written_down() -> None:
    machine = re.compile(r"(?<![\w.:/~}])/(work|root|home)/\w")
    assert [named(path) for path in texts() if machine.search(path.read_text())] == []


def test_settings_are_read_at_the_edges_only() -> None:
    readers = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in sources("django_jobs")
        if "django.conf.settings" in imported_names(path)
    }
    assert readers - EDGES == set()


def test_nothing_is_ever_unpickled() -> None:
    forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    assert [named(path) for path in sources("django_jobs") if imported_names(path) & forbidden] == []


def test_core_does_not_ask_the_clock() -> None:
    """Ids are the exception: a UUIDv7 begins with the time at which it was made."""
    clocks = re.compile(
        r"\btime\.(time|monotonic|perf_counter)|\b(datetime|date)\.(now|utcnow|today)\b|timezone\.now\b"
    )
    askers = [path.name for path in sources("django_jobs/core") if clocks.search(path.read_text())]
    assert askers in ([], ["message.py"])
    assert len(clocks.findall((PACKAGE / "core" / "message.py").read_text())) <= 1


def test_migrations_do_not_depend_on_settings() -> None:
    migrations = sorted((PACKAGE / "migrations").glob("0*.py"))
    assert migrations
    forbidden = {"django.conf", "django_jobs.conf"}
    assert [path.name for path in migrations if imported_names(path) & forbidden] == []
    assert [path.name for path in migrations if "swappable_dependency" in path.read_text()] == []


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("auto_field", ["AutoField", "BigAutoField"])
def test_no_migration_is_missing_under_any_auto_field(auto_field: str) -> None:
    command = ("manage.py", "makemigrations", "--check", "--dry-run", "--settings", "tests.settings")
    done = run(*command, TEST_AUTO_FIELD=auto_field, TEST_DATABASE="sqlite")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stderr


def test_the_package_can_be_imported_without_a_project() -> None:
    """Settings and the app registry are needed at the first use, not at the import."""
    code = (
        "import django_jobs; django_jobs.job; django_jobs.AsyncResult\n"
        "import django.apps; print(django.apps.apps.ready)"
    )
    done = run("-c", code, DJANGO_SETTINGS_MODULE="")
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel and return the names of what it holds."""
    directory = tmp_path_factory.mktemp("wheel")
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(directory))
    assert done.returncode == 0, done.stderr
    (made,) = directory.glob("django_background_jobs-*.whl")
    with zipfile.ZipFile(made) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_whole_package(wheel: set[str]) -> None:
    files = {named(path) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert "django_jobs/py.typed" in wheel
    assert files - wheel == set()


def test_the_wheel_holds_nothing_but_the_package(wheel: set[str]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {"django_jobs", "django_background_jobs-0.1.0.dist-info"}
