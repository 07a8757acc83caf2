"""A directory in which the blocks of one page run, in order, as a reader would type them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, Block, Page

SESSION = Path(__file__).with_name("session.py")
COMMAND_SECONDS = 60


class Sandbox:
    """Runs blocks; raises AssertionError with the page and line where one does not do what the page says."""

    def __init__(self, page: Page, directory: Path) -> None:
        self._page = page
        self._directory = directory
        self._session: subprocess.Popen[str] | None = None

    def run(self, block: Block) -> None:
        """Write, execute or type one block."""
        if block.file is not None:
            path, continued = block.file
            self._write(self._directory / path, block.text, continued=continued)
        elif block.language == "console":
            self._type(block)
        else:
            self._execute(block)

    def close(self) -> None:
        """End the Python session."""
        if self._session is not None:
            self._session.communicate(timeout=COMMAND_SECONDS)
            self._session = None

    def _write(self, path: Path, text: str, *, continued: bool) -> None:
        self.close()  # the next Python block imports the file as it is now
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py" and path.parent != self._directory:
            (path.parent / "__init__.py").touch()
        path.write_text((path.read_text() if continued else "") + text)

    def _type(self, block: Block) -> None:
        for command, expected in _commands(block.text):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._directory,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                check=False,
                timeout=COMMAND_SECONDS,
            )
            told = f"{self._page.name}:{block.line}: $ {command}\n{done.stdout}"
            assert done.returncode == 0, f"exit code {done.returncode}: {told}"
            missing = _first_missing(expected, done.stdout)
            assert missing is None, f"{missing!r} was not printed: {told}"

    def _execute(self, block: Block) -> None:
        if self._session is None:
            self._session = subprocess.Popen(
                [sys.executable, str(SESSION)],
                cwd=self._directory,
                env={**self._environment(), "DJANGO_SETTINGS_MODULE": "mysite.settings"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._session.stdin is not None
        assert self._session.stdout is not None
        request = {"language": block.language, "code": block.text, "name": self._page.name, "line": block.line}
        self._session.stdin.write(json.dumps(request) + "\n")
        self._session.stdin.flush()
        answer = self._session.stdout.readline()
        assert answer, f"{self._page.name}:{block.line}: the Python session has ended"
        problem = json.loads(answer)["problem"]
        assert not problem, f"{self._page.name}:{block.line}:\n{problem}"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "TEST_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        # PYTHONPATH: the package need not be installed for its documentation to be tried.
        return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """Return each command with the lines that the page shows under it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif found and line.strip() not in {"", "..."}:
            found[-1][1].append(line)
    return found


def _first_missing(expected: list[str], output: str) -> str | None:
    """Return the first expected line that does not come, in order; `...` inside a line stands for anything."""
    lines = iter(output.splitlines())
    for line in expected:
        pattern = re.compile(r"\s+".join(re.escape(part) for part in line.split()).replace(r"\.\.\.", ".*"))
        if not any(pattern.fullmatch(" ".join(shown.split())) or pattern.fullmatch(shown.strip()) for shown in lines):
            return line
    return None
