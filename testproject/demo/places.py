"""Where the demo keeps its files: below testproject/var, or where the setting VAR_DIR says."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

import testproject


def project() -> Path:
    """Return the directory of manage.py."""
    return Path(testproject.__path__[0]).resolve().parent


def base() -> Path:
    """Return the directory of everything that the demo writes, except for the database."""
    return Path(getattr(settings, "VAR_DIR", project() / "testproject" / "var"))


def reports() -> Path:
    """Return the directory of the reports."""
    return base() / "reports"


def mail() -> Path:
    """Return the directory of the mails."""
    return base() / "mail"


def logs() -> Path:
    """Return the directory of what the worker and the site say."""
    return base() / "log"


def report_files(run_id: str) -> tuple[Path, Path]:
    """Return where the report of an audit is, or will be: HTML and JSON."""
    return reports() / f"{run_id}.html", reports() / f"{run_id}.json"


def shown(path: Path) -> str:
    """Return `path` as short as it can be written from the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
