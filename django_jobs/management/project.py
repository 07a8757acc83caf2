"""What goes wrong while a command loads the project's tasks, said in one line."""

from __future__ import annotations

import traceback
from typing import Final

EXIT_CONFIG: Final = 78
"""sysexits: the project's code or settings cannot be used."""


def import_failure(error: Exception) -> str:
    """Say which line of the project's code failed."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = [frame for frame in frames if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
    else:
        place = f"{foreign[-1].filename}:{foreign[-1].lineno}" if foreign else "?"
    return f"{place}: {type(error).__name__}: {error} (while the apps' jobs.py and tasks.py were imported)"
