"""Whole runs of the command, to the end or to the error."""

from __future__ import annotations

import os
import pty
import secrets
from pathlib import Path

import pytest

from django_jobs.models import Job
from testproject.demo.errors import DemoError
from testproject.demo.worker import DemoWorker
from tests.demo.fake_site import install
from tests.demo.harness import DEADLINE_SECONDS, Demo, wait_until
from tests.services import _execute, require

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def fill(site: Path, count: int = 12) -> None:
    for number in range(count):
        install(site, f"d{number:02}", {f"d{number:02}/a.py": b"x = 1\n" * number, f"d{number:02}/b.bin": bytes(5000)})


def test_a_sound_environment_ends_with_zero_a_table_a_report_and_a_mail(demo: Demo) -> None:
    fill(demo.site)

    done = demo.run()

    assert (done.returncode, done.stderr) == (0, "")
    assert "Distributions    12" in done.stdout
    assert "Files            36 (12 more have no hash)" in done.stdout
    assert "Mismatches       0 (0 missing, 0 altered)" in done.stdout
    assert "(13 jobs)" in done.stdout
    assert "12 distributions audited, every file is as it was installed." in done.stdout
    assert demo.report()["is_sound"] is True
    assert len(list((demo.var / "reports").glob("*.html"))) == 1
    assert len(list((demo.var / "mail").iterdir())) == 1


def test_an_altered_and_a_missing_file_end_with_one_and_are_named(demo: Demo) -> None:
    fill(demo.site)
    (demo.site / "d03" / "a.py").write_bytes(b"x = 2\n")
    (demo.site / "d07" / "b.bin").unlink()

    done = demo.run()

    assert done.returncode == 1
    assert "  altered: d03/a.py (d03 1.0)\n" in done.stdout
    assert "  missing: d07/b.bin (d07 1.0)\n" in done.stdout
    assert "12 distributions audited: 1 missing files, 1 altered files." in done.stdout
    assert demo.report()["totals"]["mismatches"] == 2


@on_sqlite
def test_a_second_run_is_a_second_audit_and_fresh_drops_both(demo: Demo) -> None:
    fill(demo.site, 2)
    demo.run()

    again = demo.run()
    reports_before = len(list((demo.var / "reports").glob("*.json")))
    fresh = demo.run("--fresh")

    assert (again.returncode, fresh.returncode) == (0, 0)
    assert reports_before == 2
    assert len(list((demo.var / "reports").glob("*.json"))) == 1


def test_from_nothing_the_database_is_made_and_migrated(empty_demo: Demo) -> None:
    fill(empty_demo.site, 2)

    done = empty_demo.run()

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_database_that_does_not_exist_is_made(kind: str, empty_demo: Demo) -> None:
    service = require(kind)
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    empty_demo.database_url = None
    fill(empty_demo.site, 2)
    try:
        done = empty_demo.run("--database", f"{service.url}/{name}")
    finally:
        _execute(service, f"DROP DATABASE IF EXISTS {name}" + (" WITH (FORCE)" if kind == "postgres" else ""))

    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
def test_an_unreachable_server_is_one_line_that_says_what_to_do(scheme: str, empty_demo: Demo) -> None:
    require(scheme)  # for its driver

    done = empty_demo.run("--database", f"{scheme}://user:secret@127.0.0.1:1/demo")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "The database 127.0.0.1:1/demo cannot be used" in done.stderr
    assert "Is the server running" in done.stderr
    assert "secret" not in done.stdout + done.stderr


@on_sqlite
@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--database", "oracle://host/name"], 1, "The database URL cannot be used"),
        (["--path", "/no/such/directory"], 1, "'/no/such/directory' is not a directory"),
        (["--port", "70000"], 2, "a port is a number from 0 to 65535"),
        (["--keep", "--fresh"], 2, "not allowed with"),
        ([], 3, "No distribution is installed in"),
    ],
)
def test_what_cannot_be_is_explained_without_a_traceback(options: list[str], code: int, says: str, demo: Demo) -> None:
    done = demo.run(*options)

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@on_sqlite
def test_a_port_in_use_is_said_before_anything_is_enqueued(demo: Demo) -> None:
    import socket

    fill(demo.site, 2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = demo.run("--serve", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 1
    assert "cannot be used: Address already in use. Choose another with --port." in done.stderr
    assert "Audit" not in done.stdout


@on_sqlite
def test_a_file_that_cannot_be_read_is_tried_again(demo: Demo, database_alias: str) -> None:
    fill(demo.site, 2)
    broken = demo.site / "d01" / "a.py"
    content = broken.read_bytes()
    broken.unlink()
    broken.symlink_to("a.py")  # a loop: even root cannot open it

    process = demo.start()
    wait_until(lambda: Job.objects.using(database_alias).filter(failures__gte=1).exists(), "the first run has failed")
    broken.unlink()
    broken.write_bytes(content)

    assert process.wait(DEADLINE_SECONDS) == 0
    lines = {line["name"]: line for line in demo.report()["distributions"]}
    assert lines["d00"]["runs"] == 1
    assert lines["d01"]["runs"] > 1


@on_sqlite
def test_without_a_terminal_there_are_plain_lines_only(demo: Demo) -> None:
    fill(demo.site, 2)

    done = demo.run()

    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "2 of 2 (100 %)" in done.stdout


@on_sqlite
@pytest.mark.parametrize("no_colour", [True, False])
def test_on_a_terminal_a_bar_is_drawn_and_no_color_is_honoured(demo: Demo, no_colour: bool) -> None:
    fill(demo.site, 2)
    demo.environ = {"TERM": "xterm", **({"NO_COLOR": "1"} if no_colour else {})}

    code, text = run_on_terminal(demo)

    assert code == 0
    assert "\r[" in text
    assert ("\x1b" in text) is not no_colour


def run_on_terminal(demo: Demo) -> tuple[int, str]:
    """Run the command with a pseudo-terminal as its output; return the exit code and all it wrote."""
    import subprocess

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        demo.command(), stdout=theirs, stdin=theirs, stderr=theirs, env=demo.environment(), text=True
    )
    demo.started.append(process)
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    return process.wait(DEADLINE_SECONDS), written.decode()


@on_sqlite
def test_a_worker_that_ends_with_an_error_is_quoted(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.var.mkdir()
    for name, value in demo.environment().items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    worker = DemoWorker(queue="no queue has such a name!", takes_all=False, say=said.append)
    try:
        with pytest.raises(DemoError, match=r"ended with exit code \d+(.|\n)*no queue has such a name!"):
            worker.wait(DEADLINE_SECONDS)
    finally:
        worker.stop()
    assert said == []
