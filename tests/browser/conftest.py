"""A browser, a site with a worker, and pages that fail their test where they complain."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.services import IN_CI, temporary_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.harness import Site

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD: Final = secrets.token_urlsafe(8)
PHONE: Final = {"width": 360, "height": 740}
DESK: Final = {"width": 1100, "height": 800}
WAIT_MS: Final = 20_000
SHOW: Final = """(start) => {
    document.activeElement.blur();
    document.querySelector(start).scrollIntoView();
}"""
ON_PHONE: Final = ("admin-result-light-360", "admin-jobs-dark-360")
"""The pictures of a phone that the documentation has; of a desk it has all."""
REPLACE: Final = """([old, now]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        texts.currentNode.data = texts.currentNode.data.replaceAll(old, now);
    }
}"""


def _missing() -> str:
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the Python package playwright is not installed"
    return "" if shutil.which(CHROMIUM) else f"{CHROMIUM} is not installed"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser, for one module: while it is there, this thread counts as one that runs an event loop."""
    if reason := _missing():
        if IN_CI:
            pytest.fail(f"CI=true, and {reason}")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a site with an empty database, a superuser and a worker."""
    from tests.browser.harness import Site

    folder: Path = tmp_path_factory.mktemp("browser")
    with temporary_database("sqlite", folder) as database:
        site = Site(database, folder)
        try:
            site.run("migrate", "--verbosity", "0")
            superuser = ("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@localhost")
            site.run(*superuser, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
            site.start()
            yield site
        finally:
            site.close()


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a logged-in page; whatever any of them complained of fails the test."""
    from tests.browser.harness import Complaints

    complaints = Complaints()
    opened: list[Page] = []

    def open_one(path: str = "/admin/", *, size: Any = DESK, theme: Any = "light", **options: Any) -> Page:
        context = browser.new_context(
            viewport=size, color_scheme=theme, base_url=site.url, locale="en-US", timezone_id="UTC", **options
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        complaints.watch(page)
        page.goto(f"/admin/login/?next={path}")
        page.fill("#id_username", "ada")
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        page.wait_for_url(lambda url: "/login/" not in url)
        opened.append(page)
        return page

    yield open_one
    for page in opened:
        page.context.close()
    assert complaints.found == []


@pytest.fixture
def picture() -> Callable[..., None]:
    """Give a function that keeps a picture for the documentation, where SCREENSHOTS names its directory."""
    directory = os.environ.get("SCREENSHOTS")

    def take(page: Page, name: str, start: str = "body") -> None:
        if directory and (not name.endswith("-360") or name in ON_PHONE):
            # Where these tests are says nothing to readers, and the shop's names are those of the documentation.
            page.evaluate(REPLACE, [str(Path(__file__).parent / "site"), "/srv/mysite/shop"])
            page.evaluate(REPLACE, ["tests.browser.site.jobs", "shop.jobs"])
            page.evaluate(SHOW, start)
            page.screenshot(path=str(Path(directory) / f"{name}.png"))

    return take
