"""A site and a worker as processes, and what a browser's page complained of."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from tests.integration.harness import until
from tests.ports import free_port
from tests.services import Database

ROOT: Final = Path(__file__).resolve().parents[2]
SETTINGS: Final = "tests.browser.site.settings"
WATCH: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
    window.complain(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


class Site:
    """The development server and one worker over one database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.bank = folder / "bank.json"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": database.url,
            "BANK": str(self.bank),
            "PYTHONPATH": str(ROOT),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both; return once they are ready."""
        address = self.url.removeprefix("http://")
        site = self._start("site", "runserver", "--noreload", "--skip-checks", "--insecure", address)
        worker = self._start("worker", "runworker", "--concurrency", "1")
        until(lambda: self._lives(site, "site") and _answers(address), 60, what=lambda: self._said("site"))
        until(lambda: self._lives(worker, "worker") and "Ready" in self._said("worker"), 60)

    def run(self, *arguments: str, **environment: str) -> str:
        """Run one command of Django's to its end; return what it said."""
        command = [sys.executable, "-m", "django", *arguments]
        environ = {**self._environment, **environment}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """End what was started."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", *arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def _lives(self, process: subprocess.Popen[bytes], name: str) -> bool:
        assert process.poll() is None, self._said(name)
        return True

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")


@dataclass
class Complaints:
    """What should never happen on a page; all of it fails the test that looked at the page."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to the page from its first script on."""
        page.expose_function("complain", self._forbidden)
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("dialog", self._asked)
        page.on("response", self._answered)

    def _forbidden(self, told: str) -> None:
        self.found.append(f"policy: {told}")

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.found.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.found.append(f"{response.status}: {response.url}")


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
