"""runbeat's command line: what it refuses, and with which exit code. Real runs are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from django_jobs.management.commands import jobs_beat, runbeat
from tests.management.test_runworker import Project


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-interval", "0"),
        ("--max-interval", "-1"),
        ("--max-interval", "nan"),
        ("--max-interval", "x"),
        ("--max-interval", "3601"),
        ("--log-format", "xml"),
        ("--never",),
    ],
)
def test_what_cannot_be_is_refused_with_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises((CommandError, SystemExit)):
        call_command("runbeat", *arguments)


def test_it_looks_each_second_unless_told_otherwise() -> None:
    parser = runbeat.Command().create_parser("manage.py", "runbeat")
    assert vars(parser.parse_args([]))["max_interval"] == 1.0
    assert vars(parser.parse_args(["--max-interval", "0.5"]))["max_interval"] == 0.5


def test_the_alias_is_the_same_command() -> None:
    assert jobs_beat.Command is runbeat.Command


def test_missing_tables_say_to_migrate(tmp_path: Path) -> None:
    ran = Project(tmp_path).run("runbeat")

    assert ran.returncode == 1
    assert "The beat was not started: run manage.py migrate." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_jobs_module_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    ran = Project(tmp_path, jobs="import os\n\nos.no_such_name\n").run("runbeat", "--once")

    assert ran.returncode == 78
    assert f"{tmp_path / 'shop' / 'jobs.py'}:3: AttributeError" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_line_that_cannot_be_is_refused_where_it_is_written(tmp_path: Path) -> None:
    text = "from django_jobs import crontab, job\n\n@job(schedule=crontab('61 * * * *'))\ndef never(): ...\n"
    ran = Project(tmp_path, jobs=text).run("runbeat", "--once")

    assert ran.returncode == 78
    assert "minute is '61': 61 is out of range: 0 to 59" in ran.stderr


def test_wrong_settings_are_told(tmp_path: Path) -> None:
    ran = Project(tmp_path, settings='{"SCHEDULES": [1]}').run("runbeat", "--once")

    assert ran.returncode == 78
    assert "DJANGO_JOBS['SCHEDULES']" in ran.stderr


def test_a_worker_without_processes_has_no_beat(tmp_path: Path) -> None:
    ran = Project(tmp_path).run("runworker", "--beat", "--pool", "solo")

    assert ran.returncode == 2
    assert "Start runbeat beside it" in ran.stderr


def test_a_migration_tells_of_schedules_and_goes_on(tmp_path: Path) -> None:
    """The rows follow the code after migrate; a beat that comes later finds them."""
    text = "from django_jobs import every, job\n\n@job(schedule=every(seconds=5))\ndef look(): ...\n"
    project = Project(tmp_path, jobs=text)
    assert project.run("migrate").returncode == 0
    code = (
        "from django_jobs.models import PeriodicSchedule\n"
        "print(list(PeriodicSchedule.objects.values_list('name', 'source', 'next_run_us')))"
    )
    told = project.run("shell", "-v", "0", "-c", code)
    assert told.stdout.strip() == "[('shop.jobs.look', 'code', None)]", told.stderr
