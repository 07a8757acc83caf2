"""Print the command of the README that is marked `<!-- command: NAME -->`, so that CI runs what users read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def command(name: str) -> str:
    """Return the lines after `$ ` of the console block that follows the mark."""
    found = re.search(rf"<!-- command: {name} -->\s*```console\n(.*?)```", README.read_text(), re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no console block marked <!-- command: {name} -->.")
    return "\n".join(line.removeprefix("$ ") for line in found.group(1).splitlines())


if __name__ == "__main__":
    sys.stdout.write(command(sys.argv[1]) + "\n")
