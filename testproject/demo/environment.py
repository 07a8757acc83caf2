"""Which environment an audit is about: host, interpreter and the directories that are looked into."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Names an environment; two audits with the same `scope` look at the same files."""

    host: str
    prefix: str
    python: str
    roots: tuple[str, ...]

    @property
    def scope(self) -> str:
        """Return a digest of host, directory of the interpreter and roots: 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps([self.host, self.prefix, self.roots]).encode()).hexdigest()


def queue_name(scope: str) -> str:
    """Return the queue of an environment's jobs: a worker elsewhere would look at other files."""
    return f"audit-{scope[:12]}"


def current(roots: Sequence[str] | None = None) -> Environment:
    """Return the environment of this process; `roots` are directories, by default those of sys.path.

    Raises:
        NotADirectoryError: one of the given roots is no directory.
    """
    for root in roots or ():
        if not os.path.isdir(root):
            raise NotADirectoryError(root)
    paths = [os.path.realpath(root or os.curdir) for root in (roots or sys.path)]
    return Environment(
        host=socket.gethostname(),
        prefix=sys.prefix,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        roots=tuple(dict.fromkeys(path for path in paths if os.path.isdir(path))),
    )
