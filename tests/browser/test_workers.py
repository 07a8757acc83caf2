"""A person looks at the workers, makes one quiet, and lets it go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_admin import SIZES, THEMES, ended, enqueue, expect, fits

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.harness import Site

pytestmark = [pytest.mark.timeout(240)]
STATE = "#result_list tbody tr td >> nth=0"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_worker_is_made_quiet_and_goes_on(
    open_page: Callable[..., Page], site: Site, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    page = open_page("/admin/django_jobs/session/", theme=theme, size=size)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    fits(page)
    page.click("#result_list button:text-is('Quiet')")
    expect(page.locator(".messagelist")).to_be_visible()
    until_state(page, "quiet")
    fits(page)
    picture(page, f"admin-workers-{theme}-{size['width']}")
    page.click("#result_list button:text-is('Resume')")
    until_state(page, "alive")
    ended(site, enqueue(site, 'total.delay(__import__("datetime").date(2026, 11, 1))'))


def until_state(page: Page, state: str) -> None:
    """Load the page again until the worker is in a state: it is told by its next renewal."""
    for _ in range(60):
        if state in page.locator(STATE).inner_text().lower():
            return
        page.wait_for_timeout(500)
        page.goto("/admin/django_jobs/session/")
    expect(page.locator(STATE)).to_contain_text(state)
