"""A Python session for the blocks of one page: reads one JSON object per line, runs its code, answers with one.

Started as a script inside the page's project. Not a test and not imported by one.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import sys
import traceback
from typing import Any

import django


def run(language: str, code: str, name: str, line: int, namespace: dict[str, Any]) -> str:
    """Run one block; return what went wrong, or an empty text."""
    if language == "pycon":
        example = doctest.DocTestParser().get_doctest(code, namespace, name, name, line)
        told = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(example, out=told.write, clear_globs=False)
        namespace.update(example.globs)
        return told.getvalue() if runner.failures else ""
    try:
        exec(compile("\n" * (line - 1) + code, name, "exec"), namespace)
    except Exception:  # noqa: BLE001  an example may raise anything; it is told, not raised
        return traceback.format_exc()
    return ""


def main() -> None:
    answers = sys.stdout
    sys.path.insert(0, "")
    django.setup()
    namespace: dict[str, Any] = {"__name__": "page"}
    for request in sys.stdin:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            problem = run(**json.loads(request), namespace=namespace)
        answers.write(json.dumps({"problem": problem, "printed": printed.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
