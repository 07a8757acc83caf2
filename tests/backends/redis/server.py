"""Redis servers of a test's own, on free ports of the loopback, ended with the test."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.ports import free_port
from tests.services import IN_CI

START_SECONDS: Final = 20.0


def find_program(name: str) -> str:
    """Return the path of redis-server or its like; skip the test, or fail it in CI, where it is not installed."""
    path = shutil.which(name)
    if path is None:
        (pytest.fail if IN_CI else pytest.skip)(f"{name} is not installed")
    return str(path)


def packaged_program(package: str, pattern: str) -> str:
    """Return the server that a Python package brings; skip the test where it is not installed.

    In CI too: the packages exist for some versions of Python only, and the matrix has cells with both of them.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the Python package {package} is not installed")
    program = next(Path(found.submodule_search_locations[0]).glob(pattern))
    program.chmod(0o755)
    return str(program)


class Server:
    """One redis-server process, or another `program` of its kind; `options` are lines of its configuration."""

    def __init__(
        self,
        directory: Path,
        *,
        sentinel: bool = False,
        port: int | None = None,
        program: str = "redis-server",
        **options: str,
    ) -> None:
        self.port = port or free_port()
        self.directory = directory / f"redis-{self.port}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.sentinel = sentinel
        self.program = program
        self.options = {"save": '""', "appendonly": "no", **options}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *lines: str) -> Server:
        """Start it and wait until it answers."""
        config = self.directory / "redis.conf"
        base = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}"]
        given = [] if self.sentinel else [f"{name.replace('_', '-')} {value}" for name, value in self.options.items()]
        if not (self.sentinel and config.exists()):  # a sentinel writes its own findings into it
            config.write_text("\n".join([*base, *given, *lines]) + "\n")
        command = [find_program(self.program), str(config), *(["--sentinel"] if self.sentinel else [])]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        client = self.client()
        while True:
            try:
                client.ping()
                return
            except redis.exceptions.AuthenticationError:
                return
            except redis.exceptions.RedisError:
                assert time.monotonic() < deadline, (self.directory / "log").read_text()
                assert self.process is None or self.process.poll() is None, (self.directory / "log").read_text()
                select_a_moment()

    def client(self, **options: Any) -> Any:
        """Return a client for the test's own questions."""
        return redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0), **options)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def crash(self) -> None:
        """End it by kill -9 once everything that it has answered is in its append-only file.

        By everysec it answers before it writes while an fsync is under way: what is lost then is Redis's own loss, and
        would hide ours.
        """
        with self.client() as client:
            client.config_set("appendfsync", "always")
        self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, by kill -9 unless another signal is given, and wait."""
        if self.process is not None:
            self.process.send_signal(number)
            if number is signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
            self.process.wait(START_SECONDS)
            self.process = None


def select_a_moment() -> None:
    """Give another process the processor between two looks at what it does."""
    time.sleep(0.02)
