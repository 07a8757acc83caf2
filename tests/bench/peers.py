"""Other task queues that are measured beside ours: each is installed into a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.errors import BenchError
from tests.bench.processes import ROOT
from tests.bench.sides import Command, Side
from tests.bench.stores.base import Place, Store

INSTALL_SECONDS: Final = 300.0
HOME: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "django-jobs-bench"
"""Kept from run to run; delete it to measure the newest version."""


class Celery(Side):
    """Celery as its documentation starts it: prefork, JSON, results in the same Redis, nothing tuned."""

    name = "celery"
    requirements: Final = ("celery[redis]",)

    def install(self) -> str:
        """Make its environment if it is not there yet; return its version.

        Raises:
            BenchError: pip has failed.
        """
        if not self._python.exists():
            shutil.rmtree(self._home, ignore_errors=True)
            self._call(sys.executable, "-m", "venv", str(self._home))
            try:
                self._call(str(self._python), "-m", "pip", "install", "--quiet", *self.requirements)
            except BenchError:
                shutil.rmtree(self._home, ignore_errors=True)
                raise
        return f"{self.name} {self._call(str(self._python), '-c', VERSION).strip()}"

    def prepare(self, store: Store, place: Place) -> Command:
        return [str(self._python), "-c", "import celery"]

    def work(self, store: Store, place: Place, processes: int) -> list[Command]:
        program = [str(self._python), "-m", "celery", "--quiet", "--app", "tests.bench.celery_app", "worker"]
        return [[*program, "--loglevel", "WARNING", "--pool", "prefork", "--concurrency", str(processes)]]

    def enqueue(self, store: Store, place: Place) -> Command:
        return [str(self._python), "-m", "tests.bench.celery_app"]

    @property
    def _home(self) -> Path:
        return HOME / f"{self.name}-{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def _python(self) -> Path:
        return self._home / "bin" / "python"

    def _call(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
        if done.returncode:
            raise BenchError(f"{self.name} could not be installed into {self._home}:\n{done.stdout}")
        return done.stdout


VERSION: Final = "import importlib.metadata as m; print(m.version('celery'))"
PEERS: Final = {side.name: side for side in (Celery(),)}
