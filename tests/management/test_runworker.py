"""runworker's command line: what it refuses, and with which exit code. Real runs are in tests/integration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser

from django_jobs.management.commands import jobs_worker, runworker
from tests.integration.harness import ROOT, until

SETTINGS = """
SECRET_KEY = "tests"
DEBUG = False
INSTALLED_APPS = ["django_jobs", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DJANGO_JOBS = %s
"""
JOBS = """
from django_jobs import job

@job
def add(left, right):
    return left + right
"""


class Project:
    """A project in a folder of its own, run with real commands."""

    def __init__(self, folder: Path, *, jobs: str = JOBS, settings: str = "{}") -> None:
        self.folder = folder
        (folder / "project_settings.py").write_text(SETTINGS % settings)
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "jobs.py").write_text(jobs)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), str(self.folder)])
        return subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=self.folder,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "project_settings", "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def parse(*arguments: str) -> dict[str, Any]:
    parser: CommandParser = runworker.Command().create_parser("manage.py", "runworker")
    return vars(parser.parse_args(list(arguments)))


def test_queues_have_weights() -> None:
    assert parse("--queues", "a, b=2")["queues"] == {"a": 1, "b": 2}
    assert parse("--exclude-queues", "a,b")["exclude_queues"] == {"a", "b"}
    assert parse()["queues"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--queues", ""),
        ("--queues", "a=0"),
        ("--queues", "a=x"),
        ("--queues", "no spaces"),
        ("--concurrency", "0"),
        ("--threads", "-1"),
        ("--grace-seconds", "-1"),
        ("--grace-seconds", "nan"),
        ("--pool", "fibers"),
        ("--log-format", "xml"),
        ("--autoscale", "4"),
        ("--autoscale", "4,2"),
        ("--autoscale", "0,2"),
        ("--autoscale", "1,2", "--pool", "threads"),
        ("--autoscale", "1,2", "--pool", "asyncio"),
        ("--autoscale", "1,2", "--pool", "solo"),
        ("--autoscale", "1,2", "--concurrency", "2"),
    ],
)
def test_what_cannot_be_is_refused_with_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises((CommandError, SystemExit)):
        call_command("runworker", *arguments)


def test_the_alias_is_the_same_command() -> None:
    assert jobs_worker.Command is runworker.Command


def test_missing_tables_say_to_migrate(tmp_path: Path) -> None:
    ran = Project(tmp_path).run("runworker")

    assert ran.returncode == 1
    assert "manage.py migrate" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_jobs_module_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    ran = Project(tmp_path, jobs="import os\n\nos.no_such_name\n").run("runworker")

    assert ran.returncode == 78
    assert f"{tmp_path / 'shop' / 'jobs.py'}:3: AttributeError" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_syntax_error_in_a_jobs_module_is_named_with_its_line(tmp_path: Path) -> None:
    ran = Project(tmp_path, jobs="def broken(:\n").run("runworker")

    assert ran.returncode == 78
    assert f"{tmp_path / 'shop' / 'jobs.py'}:1: SyntaxError" in ran.stderr


@pytest.mark.parametrize("settings", ['{"NO_SUCH_KEY": 1}', '{"TASK_DEFAULTS": {"max_retries": -1}}'])
def test_wrong_settings_are_named(tmp_path: Path, settings: str) -> None:
    ran = Project(tmp_path, settings=settings).run("runworker")

    assert ran.returncode == 78
    assert "DJANGO_JOBS" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_banner_says_what_runs_and_fits_in_twelve_lines(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("migrate", "-v", "0").returncode == 0

    ran = project.run("runworker", "--burst", "--queues", "mail=3,default", "--name", "me", "-c", "1")

    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) <= 12
    for text in ("worker me", "project_settings", "SQLite", "mail x3, default", "1 process", "tasks      1"):
        assert text in ran.stdout
    assert "shop.jobs.add" in project.run("runworker", "--burst", "-c", "1", "-v", "2").stdout


def test_json_lines_have_fixed_keys(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("migrate", "-v", "0").returncode == 0
    assert project.run("jobs", "enqueue", "shop.jobs.add", "--arg", "1", "--arg", "2").returncode == 0

    ran = project.run("runworker", "--burst", "-c", "1", "--log-format", "json")

    assert ran.stdout == ""
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert lines[0]["event"] == "start"
    [ended] = [line for line in lines if "job_id" in line]
    assert ended["task"] == "shop.jobs.add"
    assert (ended["outcome"], ended["queue"], ended["attempt"]) == ("succeeded", "default", 1)
    assert {"duration_ms", "wait_ms", "worker"} <= set(ended)


def test_reload_starts_the_worker_again_when_code_changes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("migrate", "-v", "0").returncode == 0
    log = tmp_path / "log"
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", "runworker", "--reload", "-c", "1"],
            cwd=tmp_path,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "project_settings", "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "Ready" in log.read_text(), what=log.read_text)
        jobs = tmp_path / "shop" / "jobs.py"
        jobs.write_text(JOBS + "\n\n@job\ndef another():\n    pass\n")
        later = jobs.stat().st_mtime + 10  # the reloader looks at whole seconds on some file systems
        os.utime(jobs, (later, later))

        until(lambda: "tasks      2" in log.read_text(), what=log.read_text)
        until(lambda: log.read_text().count("Ready") == 2, what=log.read_text)
        assert log.read_text().count("Stopped.") == 1
    finally:
        process.terminate()
        process.wait(20)
    until(lambda: log.read_text().count("Stopped.") == 2, what=log.read_text)
