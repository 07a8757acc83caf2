"""Starts real workers and watches them from outside: processes, the ledger, the stores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from django_jobs.client.result import AsyncResult
from django_jobs.connections import connections
from django_jobs.core.outcome import JobView, StoredResult
from tests.integration.site.ledger import Entry, read
from tests.services import Database

T = TypeVar("T")

RENEW_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 3.0
GRACE_SECONDS: Final = 2.0
SETTINGS: Final[dict[str, Any]] = {
    "SESSION_RENEW_SECONDS": RENEW_SECONDS,
    "SESSION_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
    "GRACE_SECONDS": GRACE_SECONDS,
    "NAMESPACE": "test_jobs",
}
ROOT: Final = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], T], seconds: float = 20.0, *, what: Callable[[], str] | str = "") -> T:
    """Return the first true value of `condition`, looked at each 5 ms; fail after `seconds`, saying `what` did not."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"{what() if callable(what) else what or condition} did not happen within {seconds:g} s"
            )
        time.sleep(0.005)
    return value


class Worker:
    """One `runworker` (or another command that stays) in a process group of its own."""

    def __init__(
        self,
        site: Site,
        *arguments: str,
        settings: dict[str, Any],
        environment: dict[str, str],
        command: str = "runworker",
    ) -> None:
        self._log = site.folder / f"worker-{len(site.workers)}.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "django", command, *arguments],
                cwd=ROOT,
                env=os.environ
                | {
                    "DJANGO_SETTINGS_MODULE": "tests.integration.site.settings",
                    "DATABASE_URL": site.database.url,
                    "JOBS_SETTINGS": json.dumps(SETTINGS | site.stores | settings),
                    "LEDGER": str(site.ledger_path),
                    "PYTHONPATH": str(ROOT),
                    "PYTHONFAULTHANDLER": "",
                }
                | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ready(self) -> Worker:
        """Wait until the broker has answered it."""
        self.says("Ready", 60)
        return self

    def says(self, text: str, seconds: float = 20.0) -> None:
        """Wait until `text` is in its log."""

        def said() -> bool:
            assert text in self.log or self.process.poll() is None, f"it has ended: {self.log}"
            return text in self.log

        try:
            until(said, seconds)
        except AssertionError as error:
            raise AssertionError(f"The worker did not say {text!r} in time. It said:\n{self.log}") from error

    def processes(self) -> list[psutil.Process]:
        """Return its keeper and its children."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children()
        return children

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def ended(self, seconds: float = 20.0) -> int:
        """Wait for its end; return the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"The worker has not ended within {seconds} s. It said:\n{self.log}") from error

    def kill(self) -> None:
        """End whatever is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Site:
    """One database, its stores, its workers, and the ledger of their jobs."""

    def __init__(self, database: Database, folder: Path, stores: dict[str, Any] | None = None) -> None:
        self.database = database
        self.stores = stores or {}
        """What DJANGO_JOBS of its processes says of broker and results; nothing where both are in the database."""
        self.folder = folder
        self.ledger_path = folder / "ledger"
        self.workers: list[Worker] = []

    def worker(
        self, *arguments: str, settings: dict[str, Any] | None = None, environment: dict[str, str] | None = None
    ) -> Worker:
        made = Worker(self, *arguments, settings=settings or {}, environment=environment or {})
        self.workers.append(made)
        return made

    def beat(self, *arguments: str, settings: dict[str, Any] | None = None) -> Worker:
        """Start one `runbeat`."""
        made = Worker(self, *arguments, settings=settings or {}, environment={}, command="runbeat")
        self.workers.append(made)
        return made

    def gate(self, name: str = "gate") -> Path:
        """Return a file that does not exist yet."""
        return self.folder / name

    def ledger(self, event: str | None = None, key: str | None = None) -> list[Entry]:
        return [
            entry
            for entry in read(self.ledger_path)
            if (event is None or entry.event == event) and (key is None or entry.key == key)
        ]

    def started(self, key: str, times: int = 1, seconds: float = 20.0) -> Entry:
        """Wait until the job `key` has started so often; return its last start."""
        until(
            lambda: len(self.ledger("start", key)) >= times,
            seconds,
            what=lambda: f"start {times} of {key}; {self.said()}",
        )
        return self.ledger("start", key)[-1]

    def stored(self, result: AsyncResult[Any], seconds: float = 20.0) -> StoredResult:
        """Wait until the job has ended; return what is kept of it."""
        found = until(
            lambda: connections.results.load_many([result.id]).get(result.id),
            seconds,
            what=lambda: f"the end of {result.id} ({self.view(result)}); {self.said()}",
        )
        assert found is not None
        return found

    def view(self, result: AsyncResult[Any]) -> JobView | None:
        """Return the live job."""
        return connections.broker.state_of([result.id]).get(result.id)

    def said(self) -> str:
        """Return what the workers have said, and where they are right now."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGQUIT)
                worker.says("most recent call first")
        time.sleep(1)  # the children write theirs a moment later; this is a failing test
        return "\n".join(f"worker {number}:\n{worker.log}" for number, worker in enumerate(self.workers))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
