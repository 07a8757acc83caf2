"""The one error of the demo."""

from __future__ import annotations

MAX_CHARS = 400


class DemoError(Exception):
    """Raised when the demo cannot go on; its text is one line that says what happened and what to do."""


def one_line(error: BaseException) -> str:
    """Return the first line of the error's text, shortened: drivers like to write several, with advice of their own.

    mysqlclient's errors are (number, text).
    """
    text = str(error.args[1] if len(error.args) == 2 and isinstance(error.args[0], int) else error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 3]}..."
