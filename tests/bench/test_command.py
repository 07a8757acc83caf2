"""The bench runs from its command to its report; what it measures is no test's matter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.processes import ROOT

JOBS = 3000
PLACE = "<!-- figures: {} -->\n{}<!-- end of figures -->\n"


@pytest.mark.processes
def test_a_small_drain_is_reported_for_both_sides(tmp_path: Path) -> None:
    page, written = tmp_path / "page.md", tmp_path / "out.json"
    page.write_text(f"before\n{PLACE.format('drain', 'old')}{PLACE.format('idle', '')}after\n")

    command = ("drain", "--store", "sqlite", "--reps", "1", "--jobs", str(JOBS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *command, "--json", str(written), "--page", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stderr
    runs = json.loads(written.read_text())["runs"]
    assert [(run["side"], run["store"]) for run in runs] == [("django_jobs", "sqlite"), ("raw loop", "sqlite")]
    assert all(run["figures"]["rate"] > 0 and run["figures"]["worker_us"] > 0 for run in runs)
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n<!-- figures: drain -->\n")
    assert text.endswith(f"<!-- end of figures -->\n{PLACE.format('idle', '')}after\n")
    assert [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| SQLite |")] == [
        "django_jobs",
        "raw loop",
    ]
