"""A person pauses a queue and a task, sees what waits for them, cancels it, and lets them go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_admin import SIZES, THEMES, ended, enqueue, expect, fits

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.harness import Site

pytestmark = [pytest.mark.timeout(240)]
Open = Callable[..., "Page"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_queue_is_paused_its_jobs_say_so_and_it_goes_on(
    open_page: Open, site: Site, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    page = open_page("/admin/django_jobs/job/", theme=theme, size=size)
    page.fill("input[name=reason]", "the printer <b>burns</b>")
    page.click("button[aria-label='Pause reports']")
    expect(page.locator(".messagelist")).to_contain_text("“reports” is paused")
    job_id = enqueue(site, 'total.delay(__import__("datetime").date(2026, 11, 1))')
    page.goto("/admin/django_jobs/job/")
    expect(page.locator(".jobs-notice")).to_contain_text("Something is paused")
    note = page.locator("#result_list").get_by_text("waits: its queue is paused since").first
    expect(note).to_contain_text("by ada: the printer <b>burns</b>")
    expect(page.locator("#jobs-queues")).to_contain_text("by ada: the printer <b>burns</b>")
    fits(page)
    picture(page, f"admin-pauses-{theme}-{size['width']}")
    page.click(f"a[href*='{job_id}']")
    expect(page.locator("body")).to_contain_text("waits: its queue is paused since")
    fits(page)
    page.goto("/admin/django_jobs/job/")
    page.click("button[aria-label='Resume reports']")
    expect(page.locator(".messagelist")).to_contain_text("“reports” goes on")
    ended(site, job_id)
    expect(page.locator(".jobs-notice")).to_have_count(0)


def test_a_task_is_paused_on_its_page_and_what_waits_is_cancelled(open_page: Open, site: Site) -> None:
    page = open_page("/admin/django_jobs/taskdefinition/?q=jobs.charge")
    page.click("#result_list tbody tr >> nth=0 >> th a")
    page.click("button:text('Pause')")
    expect(page.locator(".messagelist")).to_contain_text("is paused: no more jobs of it are claimed")
    expect(page.locator(".field-shown_pause")).to_contain_text("by ada")
    for order in range(3):
        enqueue(site, f"charge.delay({order})")
    page.goto("/admin/django_jobs/job/?task=tests.browser.site.jobs.charge")
    expect(page.locator("#result_list")).to_contain_text("waits: its task is paused since")
    page.click("a[aria-label='Cancel all that waits of tests.browser.site.jobs.charge']")
    expect(page.locator("#content-main")).to_contain_text("3 jobs wait. Cancel them all?")
    fits(page)
    page.click("input[value='Cancel all that waits']")
    expect(page.locator(".messagelist")).to_contain_text("3 jobs were cancelled.")
    page.click("button[aria-label='Resume tests.browser.site.jobs.charge']")
    expect(page.locator(".messagelist")).to_contain_text("goes on")
