"""Workers through what databases do to their clients: cut connections, one writer at a time, a transaction pooler."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connections as django_connections

from tests.integration.harness import ROOT, SETTINGS, Site, until
from tests.integration.site import jobs
from tests.ports import free_port
from tests.services import IN_CI, Database

JOBS = 400


def alias_of(site: Site) -> str:
    return f"{site.database.kind}_file"


def has_ended(site: Site, jobs_ended: int) -> bool:
    return len(site.ledger("end")) >= jobs_ended


def cut_connections(site: Site) -> None:
    """Make the server drop every connection to this database but ours."""
    with django_connections[alias_of(site)].cursor() as cursor:
        if site.database.kind == "postgres":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        for (number,) in cursor.fetchall():
            with suppress(Exception):  # it has gone by itself
                cursor.execute(f"KILL CONNECTION {number}")


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_cut_connections_lose_no_job_and_burn_no_attempt(site: Site) -> None:
    results = jobs.spend.delay_many([((f"s{number}", 0.01), {}) for number in range(JOBS)])
    workers = [site.worker("-c", "2").ready() for _ in range(2)]
    for step in range(1, 8):
        until(partial(has_ended, site, step * JOBS // 10), what=f"{step} tenths of the jobs")
        cut_connections(site)
    for result in results:
        stored = site.stored(result, 60)
        assert (stored.status, stored.failures, stored.crashes) == ("succeeded", 0, 0), site.said()
    for worker in workers:
        worker.stop()
        assert worker.ended() == 0


PRODUCER = """
import django, sys
django.setup()
from tests.integration.site import jobs
for number in range(int(sys.argv[2])):
    jobs.note.delay(f"{sys.argv[1]}-{number}")
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_four_producers_and_two_workers_share_a_sqlite_file_without_an_error(site: Site, tmp_path: Path) -> None:
    workers = [site.worker("-c", "2", "--log-format", "json").ready() for _ in range(2)]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.integration.site.settings",
        "DATABASE_URL": site.database.url,
        "JOBS_SETTINGS": json.dumps(SETTINGS),
        "LEDGER": str(site.ledger_path),
        "PYTHONPATH": str(ROOT),
    }
    said = tmp_path / "errors"
    with said.open("wb") as errors:
        producers = [
            subprocess.Popen(
                [sys.executable, "-c", PRODUCER, f"p{number}", "250"], cwd=ROOT, env=environment, stderr=errors
            )
            for number in range(4)
        ]
    assert [producer.wait(60) for producer in producers] == [0] * 4, said.read_text()
    until(lambda: len({entry.key for entry in site.ledger("ran")}) == 1000, 60, what=site.said)
    assert len(site.ledger("ran")) == 1000
    for worker in workers:
        worker.stop()
        assert worker.ended() == 0
        assert "locked" not in worker.log
        assert "ERROR" not in worker.log


@contextmanager
def pooler(database: Database, folder: Path) -> Iterator[Database]:
    """Run PgBouncer in transaction mode, two server connections, before the database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if IN_CI else pytest.skip)("PgBouncer is not installed")
    assert program is not None
    parts = urlsplit(database.url)
    port = free_port()
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" ""\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}\n"
        "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {users}\npool_mode = transaction\n"
        f"default_pool_size = 2\nmax_client_conn = 100\nignore_startup_parameters = extra_float_digits\n"
    )
    command = [program, "-q", str(settings)]
    if os.geteuid() == 0:  # it refuses to run as root
        for path in (folder, settings, users):
            shutil.chown(path, pwd.getpwnam("postgres").pw_uid)
        for parent in folder.parents:
            if parent != Path("/") and parent.stat().st_uid == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output)
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            return False

        until(answers, what="PgBouncer's port")
        user = f"{parts.username}@" if parts.username else ""
        yield Database(kind="postgres", url=f"postgres://{user}127.0.0.1:{port}{parts.path}")
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_transaction_pooler_swallows_notifications_and_nothing_else(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "pooler"
    folder.mkdir()
    with pooler(site.database, folder) as pooled:
        direct, site.database = site.database, pooled
        worker = site.worker("-c", "2").ready()
        site.database = direct
        results = jobs.note.delay_many([((f"n{number}",), {}) for number in range(500)])
        assert {site.stored(result).status for result in results} == {"succeeded"}
        assert len(site.ledger("ran")) == 500
        late = jobs.note.delay("after-a-rest")
        assert site.stored(late, 5).status == "succeeded"
        worker.stop()
        assert worker.ended() == 0
        assert "ERROR" not in worker.log
