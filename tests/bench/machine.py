"""What the figures were measured with: the machine, the versions, the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import django

import django_jobs
from tests.bench.processes import ROOT

DRIVERS: Final = {"postgres": "psycopg", "mysql": "mysqlclient", "redis": "redis"}


def machine() -> str:
    """Return CPUs, memory and system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} CPUs ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}"


def software() -> str:
    """Return the versions of the language and the framework."""
    return f"Python {platform.python_version()}, Django {django.get_version()}, django_jobs {_own_version()}"


def driver(kind: str) -> str:
    """Return the name and version of what talks to a kind of store; empty where it is Python's own."""
    try:
        return f"{DRIVERS[kind]} {version(DRIVERS[kind])}" if kind in DRIVERS else ""
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _own_version() -> str:
    """Return the version, the commit, and whether the package differs from it; other files change no figure."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = "with changes" if _git("status", "--porcelain", "--", "django_jobs") else ""
    return " ".join(filter(None, (django_jobs.__version__, commit, changed)))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
