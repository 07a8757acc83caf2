"""Compares the files of installed distributions with the hashes in their RECORD. No Django, no database."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Final

ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512"})
"""What the recording-installed-projects specification allows: SHA-256 or better. Other hashes count as none."""

MAX_FINDINGS: Final = 200
"""At most so many findings of one distribution are kept; the counts go on."""


class Problem(StrEnum):
    """What can be wrong with a file."""

    MISSING = "missing"
    ALTERED = "altered"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution as it was found. `location` is its metadata directory, which names it without doubt."""

    name: str
    version: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file that is not as it was installed. `path` is as RECORD has it."""

    path: str
    problem: Problem
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of RECORD. `digest` is urlsafe base64 without padding; `algorithm` is empty where there is no hash."""

    path: str
    algorithm: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit of one distribution came to."""

    files: int = 0
    """Files with a hash: looked at, whatever came of it."""
    unhashed: int = 0
    """Entries without a hash (RECORD itself, byte code): not looked at."""
    bytes: int = 0
    """Read and hashed."""
    missing: int = 0
    altered: int = 0
    unreadable: int = 0
    has_record: bool = True
    """False where the installer wrote no RECORD: there is nothing to compare with."""
    findings: tuple[Finding, ...] = ()


def discover(roots: Sequence[str]) -> list[Installed]:
    """Return the distributions below `roots` (directories as in sys.path), each once, by name.

    Raises:
        ValueError: a path is not valid Unicode, so that no database could store it.
    """
    found: dict[str, Installed] = {}
    for distribution in Distribution.discover(path=_directories(roots)):
        if isinstance(distribution, PathDistribution):
            installed = _describe(distribution)
            found.setdefault(installed.location, installed)
    return sorted(found.values(), key=lambda item: (item.name.lower(), item.location))


def verify(location: str, *, tolerate: bool) -> Audit:
    """Hash every file of the distribution whose metadata lies in `location`.

    A file that is there but cannot be read raises OSError, so that the caller can try again later; with `tolerate`
    it becomes a finding instead.
    """
    if not Path(location).exists():
        return Audit(missing=1, findings=(_finding(location, Problem.MISSING, "its metadata directory is gone"),))
    distribution = Distribution.at(location)
    try:
        text = distribution.read_text("RECORD")
        entries = None if text is None else list(read_record(text))
    except (UnicodeDecodeError, csv.Error) as error:
        return Audit(altered=1, findings=(_finding("RECORD", Problem.ALTERED, f"it cannot be parsed: {error}"),))
    if entries is None:
        return Audit(has_record=False)
    return _verify_entries(entries, Path(str(distribution.locate_file(""))), tolerate=tolerate)


def read_record(text: str) -> Iterator[Entry]:
    """Parse a RECORD file: CSV lines of path, algorithm=digest, size."""
    for row in csv.reader(text.splitlines()):
        if row and row[0]:
            algorithm, _, digest = (row[1] if len(row) > 1 else "").partition("=")
            if algorithm in ALGORITHMS:
                yield Entry(path=row[0], algorithm=algorithm, digest=digest.rstrip("="))
            else:
                yield Entry(path=row[0])


def check_file(path: Path, entry: Entry, *, tolerate: bool) -> tuple[int, Finding | None]:
    """Compare one file with its entry; return how many bytes were read, and what is wrong, if anything.

    Raises:
        OSError: see `verify`.
    """
    try:
        # RECORD may name anything: a pipe would block the open for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return 0, _finding(entry.path, Problem.ALTERED, "it is not a regular file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, entry.algorithm).digest()
            size = file.tell()
    except (FileNotFoundError, NotADirectoryError):
        return 0, _finding(entry.path, Problem.MISSING, "")
    except ValueError as error:  # a NUL in the path
        return 0, _finding(entry.path, Problem.MISSING, str(error))
    except OSError as error:
        if not tolerate:
            raise
        return 0, _finding(entry.path, Problem.UNREADABLE, error.strerror or str(error))
    found = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    # Some Debian packages were built by an old flit, which wrote hexadecimal digests.
    if entry.digest in (found, digest.hex()):
        return size, None
    return size, _finding(entry.path, Problem.ALTERED, f"{entry.algorithm} is {found}, RECORD has {entry.digest}")


def _verify_entries(entries: Sequence[Entry], site: Path, *, tolerate: bool) -> Audit:
    hashed = [entry for entry in entries if entry.algorithm]
    counts = dict.fromkeys(Problem, 0)
    findings: list[Finding] = []
    total = 0
    for entry in hashed:
        size, finding = check_file(site / entry.path, entry, tolerate=tolerate)
        total += size
        if finding is not None:
            counts[finding.problem] += 1
            if len(findings) < MAX_FINDINGS:
                findings.append(finding)
    return Audit(
        files=len(hashed),
        unhashed=len(entries) - len(hashed),
        bytes=total,
        missing=counts[Problem.MISSING],
        altered=counts[Problem.ALTERED],
        unreadable=counts[Problem.UNREADABLE],
        findings=tuple(findings),
    )


def _directories(roots: Sequence[str]) -> list[str]:
    """Resolve `roots`, so that lib64 beside lib is not audited twice."""
    return list(dict.fromkeys(os.path.realpath(root or os.curdir) for root in roots))


def _describe(distribution: PathDistribution) -> Installed:
    # The name and version alone do not tell two leftovers of one distribution apart; its directory does.
    location = str(distribution._path)
    stem, _, _ = os.path.basename(location.rstrip(os.sep)).rpartition(".")
    name, _, version = stem.partition("-")
    try:
        location.encode()
    except UnicodeEncodeError:
        raise ValueError(f"The path {location!r} is not valid Unicode. Rename the directory.") from None
    return Installed(
        name=_text(_metadata(distribution, "Name") or name),
        version=_text(_metadata(distribution, "Version") or version),
        location=location,
    )


def _metadata(distribution: Distribution, field: str) -> str:
    """Return a field of METADATA; empty where the installer was interrupted and the file is missing or broken."""
    try:
        metadata = distribution.metadata
        return str(metadata[field]) if field in metadata else ""
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _finding(path: str, problem: Problem, detail: str) -> Finding:
    return Finding(path=_text(path), problem=problem, detail=_text(detail))


def _text(value: str) -> str:
    """Return `value` without what PostgreSQL and UTF-8 refuse: NUL and lone surrogates."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
