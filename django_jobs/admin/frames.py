"""Reads the text of a traceback, so that a project's own frames can be told from those of libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath
from typing import Final

_PLACE: Final = re.compile(r'(?P<indent>[ |+-]*)File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?')
_LIBRARY: Final = re.compile(
    r"""[/\\](?:site|dist)-packages[/\\]
    | [/\\]lib(?:64)?[/\\]python[\d.]*[/\\]        # the standard library
    | \A<frozen\s
    | [/\\]django_jobs[/\\](?:backends|client|core|execution|worker)[/\\]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PACKAGE: Final = re.compile(r".*[/\\](?:(?:site|dist)-packages|lib(?:64)?[/\\]python[\d.]*)[/\\](?P<name>\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call: where it stands, and its lines of code as the traceback has them."""

    file: str
    line: str
    function: str
    code: str

    @property
    def is_own(self) -> bool:
        """Whether the project wrote it, as far as its path says."""
        return not _LIBRARY.search(self.file)

    @property
    def package(self) -> str:
        """The top package or module of a library's frame."""
        found = _PACKAGE.search(self.file)
        return found["name"] if found else PurePath(self.file).stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a traceback: text, a project's own frames, or those of libraries."""

    text: str = ""
    frames: Sequence[Frame] = ()
    is_folded: bool = False

    @property
    def packages(self) -> str:
        """The packages of the frames, each once, in order."""
        return ", ".join(dict.fromkeys(frame.package for frame in self.frames))


def read_traceback(text: str) -> list[Part]:
    """Return the parts of a traceback in order; text that is none comes back as text.

    Frames of libraries are folded, unless the project has none of its own in it.
    """
    pieces = list(_pieces(text.splitlines()))
    has_own = any(isinstance(piece, Frame) and piece.is_own for piece in pieces)
    parts = []
    for kind, group in groupby(pieces, key=_kind):
        if kind == "text":
            parts.append(Part(text="\n".join(str(piece) for piece in group)))
        else:
            frames = [piece for piece in group if isinstance(piece, Frame)]
            parts.append(Part(frames=frames, is_folded=has_own and kind == "library"))
    return parts


def _kind(piece: Frame | str) -> str:
    if isinstance(piece, str):
        return "text"
    return "own" if piece.is_own else "library"


def _pieces(lines: Sequence[str]) -> Iterator[Frame | str]:
    """Yield frames and the lines between them."""
    index = 0
    while index < len(lines):
        found = _PLACE.fullmatch(lines[index])
        index += 1
        if found is None:
            yield lines[index - 1]
            continue
        deeper = found["indent"] + "  "
        code = []
        while index < len(lines) and (lines[index].startswith(deeper) or _is_repeat(lines[index], found["indent"])):
            line = lines[index]
            code.append(line.removeprefix(deeper if line.startswith(deeper) else found["indent"]))
            index += 1
        yield Frame(
            file=found["file"], line=found["line"], function=found["function"] or "", code="\n".join(code).rstrip()
        )


def _is_repeat(line: str, indent: str) -> bool:
    return line.startswith(f"{indent}[Previous line repeated ")
