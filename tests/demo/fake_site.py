"""Makes directories that look like site-packages, with distributions whose RECORD is right to begin with."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path


def digest(content: bytes) -> str:
    """Return the hash of `content` as RECORD has it."""
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')}"


def install(
    site: Path, name: str, files: Mapping[str, bytes], *, version: str = "1.0", record: str | None = ""
) -> Path:
    """Write a distribution and return its metadata directory; `record` adds lines, None leaves RECORD out."""
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    contents = {
        **files,
        f"{metadata.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
    }
    for path, content in contents.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
    if record is not None:
        lines = [f"{path},{digest(content)},{len(content)}" for path, content in contents.items()]
        lines.append(f"{metadata.name}/RECORD,,")
        (metadata / "RECORD").write_text("\n".join(lines) + "\n" + record)
    return metadata


def install_large(site: Path, name: str, *, megabytes: int, digest_of_zeros: str) -> Path:
    """Write a distribution with one sparse file, which takes a while to hash and no room on the disk."""
    metadata = install(site, name, {}, record=f"{name}.bin,{digest_of_zeros},{megabytes << 20}\n")
    with (site / f"{name}.bin").open("wb") as file:
        os.truncate(file.fileno(), megabytes << 20)
    return metadata


def zeros(megabytes: int) -> str:
    """Return the hash of so many MiB of zeros as RECORD has it."""
    block, state = bytes(1 << 20), hashlib.sha256()
    for _ in range(megabytes):
        state.update(block)
    return f"sha256={base64.urlsafe_b64encode(state.digest()).decode().rstrip('=')}"


def megabytes_hashed_in(seconds: float) -> int:
    """Return how many MiB this machine hashes in about so many seconds, 4 at least."""
    begin = time.perf_counter()
    zeros(16)
    return max(4, round(16 * seconds / (time.perf_counter() - begin)))
