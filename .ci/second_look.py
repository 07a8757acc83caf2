"""Run once more, one after the other, what has just failed: `python .ci/second_look.py EXIT_CODE`, after a pytest.

The suite starts thousands of processes with deadlines, and a starved machine misses one now and then. A defect fails
twice; so do more than a few failures at once, which are not looked at again. What only passed alone is printed: it is
a test to mend.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS_FAILED = 1
"""The exit code of a pytest that ran to its end."""
AT_MOST = 3
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(code: int) -> int:
    """Return the exit code that counts."""
    failed = sorted(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else []
    if code != TESTS_FAILED or not 0 < len(failed) <= AT_MOST:
        return code
    sys.stdout.write("\nA second look, alone, at:\n" + "".join(f"  {name}\n" for name in failed))
    sys.stdout.flush()
    again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", *failed]).returncode
    if again == 0:
        sys.stdout.write("\nPASSED ONLY ALONE, and want mending:\n" + "".join(f"  {name}\n" for name in failed))
    return again


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
