"""Runs `manage.py demo` as a person would: a process of its own, with a directory and a database for the test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from testproject.demo import places

DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE_SECONDS) -> Any:
    """Return the first true answer of `condition`; fail after the deadline, saying what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Say whether a process has ended (a zombie has)."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@dataclass(slots=True, kw_only=True)
class Demo:
    """The command with its surroundings. What it starts is killed at the end of the test."""

    site: Path
    var: Path
    database_url: str | None
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    starts: int = 0

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*options)
        code = process.wait(DEADLINE_SECONDS)
        return subprocess.CompletedProcess(process.args, code, self.output(), self.errors())

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the command; what it writes goes to files."""
        self.var.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        with self._said("out").open("w") as out, self._said("err").open("w") as err:
            process = subprocess.Popen(
                self.command(*options),
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                text=True,
            )
        self.started.append(process)
        return process

    def command(self, *options: str) -> Sequence[str]:
        """Return the command line."""
        return [sys.executable, str(places.project() / "manage.py"), "demo", "--path", str(self.site), *options]

    def environment(self) -> dict[str, str]:
        """Return the environment of its processes."""
        own = {"DJANGO_SETTINGS_MODULE": "tests.demo.settings", "DEMO_TEST_VAR": str(self.var)}
        database = {"DATABASE_URL": self.database_url} if self.database_url else {}
        inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "NO_COLOR"}}
        return {**inherited, **own, **database, **self.environ}

    def output(self) -> str:
        """Return what the newest start has said so far."""
        return self._said("out").read_text()

    def errors(self) -> str:
        """Return what the newest start has complained of so far."""
        return self._said("err").read_text()

    def _said(self, stream: str) -> Path:
        return self.var / f"{stream}-{self.starts}.txt"

    def worker_pid(self) -> int:
        """Wait for the worker and return its process id."""
        found = wait_until(lambda: re.findall(r"pid (\d+)", self.output()), "the worker is started")
        return int(found[-1])

    def report(self) -> dict[str, Any]:
        """Return the newest report."""
        import json

        newest = max((self.var / "reports").glob("*.json"))
        document: dict[str, Any] = json.loads(newest.read_text())
        return document

    def close(self) -> None:
        """Kill what is left: the command, and through it its worker and its site."""
        for process in self.started:
            if process.poll() is None:
                family = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                process.wait()
                for child in family:
                    if child.is_running():
                        child.send_signal(signal.SIGKILL)
