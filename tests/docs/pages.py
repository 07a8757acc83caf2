"""Reads the documentation: its pages, their fenced blocks, headings and links.

What a block is for stands in a comment on the line before it:

    <!-- not run: WHY -->      it is shown only
    <!-- command: NAME -->     one of the README's commands, which .ci/run runs

Every other block in the languages `python`, `pycon` and `console` runs. A Python block whose first line is a comment
with a path (`# shop/jobs.py`) is the content of that file; with `(continued)` after the path it is added to it.
A page that says `<!-- project: none -->` starts in an empty directory, others in a new Django project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNNABLE = {"python", "pycon", "console"}

_FENCE = re.compile(
    r"^(?:<!-- (?P<note>not run|command): (?P<reason>[^\n]+?) -->\n+)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# (?P<path>[\w./-]+\.(?:py|toml|txt))(?P<continued> \(continued\))?(?::[^\n]*)?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    line: int
    """Of its first line of text, from 1."""
    language: str
    text: str
    note: str
    """`not run`, `command` or empty."""

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return self.language in RUNNABLE and not self.note

    @property
    def file(self) -> tuple[str, bool] | None:
        """The path that its first line names, and whether it is added to that file; None for code that just runs."""
        found = _FILE.match(self.text) if self.language == "python" else None
        return (found["path"], bool(found["continued"])) if found else None


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path inside the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """All but the fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def has_project(self) -> bool:
        """Whether its blocks run inside a Django project made before."""
        return "<!-- project: none -->" not in self.text

    def blocks(self) -> list[Block]:
        """Return its fenced blocks, in order."""
        text = self.text
        return [
            Block(
                line=text.count("\n", 0, found.start("text")) + 1,
                language=found["language"],
                text=found["text"],
                note=found["note"] or "",
            )
            for found in _FENCE.finditer(text)
        ]

    def anchors(self) -> set[str]:
        """Return the anchors of its headings, as the usual Markdown viewers make them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

    def links(self) -> list[str]:
        """Return the targets of its links, without those to other sites."""
        return [target for target in re.findall(r"\]\(([^)\s]+)\)", self.prose) if "://" not in target]


def pages() -> list[Page]:
    """Return the pages whose examples run: the README and all of docs/."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]


def community_pages() -> list[Page]:
    """Return the other Markdown files at the top."""
    return [Page(path) for path in sorted(ROOT.glob("*.md")) if path.name != "README.md"]


def reference(name: str) -> str:
    """Return the prose and tables of one page of the reference."""
    return Page(ROOT / "docs" / "reference" / f"{name}.md").prose
