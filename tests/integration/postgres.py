"""A PostgreSQL server of one's own, that a test may crash."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.ports import free_port
from tests.services import IN_CI, Database

PROGRAMS: Final = "/usr/lib/postgresql"


def find_programs() -> Path:
    """Return the folder of initdb and pg_ctl; skip the test where there is none, and fail it in CI."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path(PROGRAMS).glob("*/bin"))
    if not folders or not (folders[-1] / "initdb").exists():
        (pytest.fail if IN_CI else pytest.skip)(f"initdb is neither on PATH nor under {PROGRAMS}")
    return folders[-1]


class PrivatePostgres:
    """One cluster in a folder, on a port of its own, without a password."""

    def __init__(self, folder: Path) -> None:
        self._programs = find_programs()
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(folder, pwd.getpwnam("postgres").pw_uid)
        self._port = free_port()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")

    @property
    def database(self) -> Database:
        return Database(kind="postgres", url=f"postgres://postgres@127.0.0.1:{self._port}/postgres")

    def start(self) -> None:
        """Start it and return once it takes connections."""
        # A killed server loses nothing without fsync: what it has written is the kernel's.
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("start", "-w", "-l", str(self._log), "-o", options)

    def crash(self) -> None:
        """End it as a crash would: without a word to its clients, to be recovered at the next start."""
        self._control("stop", "-m", "immediate")

    def close(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.crash()

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # Not through a pipe: the server that pg_ctl leaves behind would keep it open.
        with (self._data.parent / f"{program}.log").open("wb") as output:
            done = subprocess.run(
                [*self._as_user, str(self._programs / program), *arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
            )
        if done.returncode:
            said = (self._data.parent / f"{program}.log").read_text(errors="replace")
            raise AssertionError(f"{program} has failed with status {done.returncode}: {said}")


@contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """Give a server that runs; it is gone afterwards."""
    # Not under pytest's folder: each run that starts beside this one closes that to the server's own user.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = PrivatePostgres(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.close()
