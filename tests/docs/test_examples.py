"""Every example of the documentation does what its page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page, pages
from tests.docs.sandbox import Sandbox

PAGES = [page for page in pages() if any(block.runs for block in page.blocks())]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what `startproject`, `startapp shop`, INSTALLED_APPS and `migrate` make, once for all pages."""
    directory = tmp_path_factory.mktemp("project")

    def run(*command: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "mysite.settings"}
        subprocess.run(
            [sys.executable, *command], cwd=directory, env=environment, check=True, capture_output=True, timeout=60
        )

    run("-m", "django", "startproject", "mysite", ".")
    run("manage.py", "startapp", "shop")
    with (directory / "mysite" / "settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["django_jobs", "shop"]\n')
    run("manage.py", "migrate")
    return directory


@pytest.mark.processes
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_examples_of_each_page_run(page: Page, project: Path, tmp_path: Path) -> None:
    directory = tmp_path / "page"
    if page.has_project:
        shutil.copytree(project, directory)
    else:
        directory.mkdir()
    sandbox = Sandbox(page, directory)
    try:
        for block in page.blocks():
            if block.runs:
                sandbox.run(block)
    finally:
        sandbox.close()


def test_there_are_examples() -> None:
    """An empty list of pages would pass."""
    assert {"README.md", "docs/tutorial/first-job.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", pages(), ids=[page.name for page in pages()])
def test_every_fence_is_read(page: Page) -> None:
    """A fence without a language, or one that is not closed, would hide its block from the tests."""
    assert page.text.count("```") == 2 * len(page.blocks())
