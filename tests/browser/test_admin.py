"""What a person does with jobs in the admin, click by click, with a real worker behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import DESK, PHONE
from tests.integration.harness import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.harness import Site

pytestmark = [pytest.mark.timeout(240)]
Open = Callable[..., "Page"]
THEMES = ["light", "dark"]
SIZES = [pytest.param(DESK, id="desk"), pytest.param(PHONE, id="phone")]
FIRST_ROW = "#result_list tbody tr >> nth=0 >> th a"


def expect(found: Any) -> Any:
    from playwright.sync_api import expect as assertions

    return assertions(found)


def fits(page: Page) -> None:
    """Nothing sticks out at the side: what is wide scrolls inside its own box."""
    page.wait_for_load_state()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth"), f"{page.url} is {width} px wide"


def enqueue(site: Site, statement: str) -> str:
    """Enqueue a job in the site's project; return its id."""
    return site.run("shell", "-v", "0", "-c", f"from tests.browser.site.jobs import *; print({statement})").split()[-1]


def ended(site: Site, job_id: str) -> None:
    """Wait until the worker has run it."""
    until(
        lambda: '"finished_at": "' in site.run("jobs", "show", job_id, "--json"),
        30,
        what=lambda: f"the end of {job_id}",
    )


@pytest.fixture
def failed(site: Site) -> Iterator[str]:
    """Give the id of a job that has failed, and would not if it ran now."""
    site.bank.unlink(missing_ok=True)
    job_id = enqueue(site, 'charge.delay(7, {"holder": "<b>Ada</b>"})')
    ended(site, job_id)
    site.bank.write_text('{"status": "paid"}')
    yield job_id
    site.bank.unlink(missing_ok=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_schedule_is_made_and_its_next_runs_change_while_typing(
    open_page: Open, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    page = open_page("/admin/django_jobs/periodicschedule/add/", theme=theme, size=size)
    name = f"Total {theme} {size['width']}"
    page.fill("#id_name", name)
    page.select_option("#id_task", "tests.browser.site.jobs.total")
    page.fill("#id_args", '[{"$": "date", "v": "2026-11-01"}]')
    runs = page.locator("#jobs-next-runs")
    expect(runs.locator("tbody tr")).to_have_count(0)
    page.fill("#id_crontab", "30 7 * * 1")
    expect(runs.locator("tbody tr")).to_have_count(5)
    expect(runs.locator("tbody td >> nth=0")).to_have_text(re.compile(r"^Mon .* 07:30:00 CES?T$"))
    page.fill("#id_crontab", "61 * * * *")
    expect(runs).to_contain_text("61 is out of range")
    page.fill("#id_crontab", "15 9 * * *")
    page.fill("#id_time_zone", "Asia/Tokyo")
    expect(runs.locator("tbody td >> nth=0")).to_have_text(re.compile(r" 09:15:00 JST$"))
    expect(runs.locator("tbody td >> nth=1")).to_have_text(re.compile(r" 00:15:00$"))
    fits(page)
    picture(page, f"admin-schedule-{theme}-{size['width']}", "fieldset.jobs-rule")
    page.click("input[name=_continue]")
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    expect(runs.locator("tbody td >> nth=0")).to_have_text(re.compile(r" 09:15:00 JST$"))
    page.click("button:text('Pause')")
    expect(page.locator(".messagelist")).to_contain_text("It is paused.")
    expect(page.locator(".fieldBox.field-shown_state")).to_contain_text("paused")
    page.goto("/admin/django_jobs/periodicschedule/")
    expect(page.locator("#result_list")).to_contain_text(name)
    fits(page)


def test_without_scripts_the_next_runs_show_on_save(open_page: Open) -> None:
    page = open_page("/admin/django_jobs/periodicschedule/add/", java_script_enabled=False)
    page.fill("#id_name", "No scripts")
    page.select_option("#id_task", "tests.browser.site.jobs.clean_up")
    page.fill("#id_interval_seconds_0", "90")
    page.click("input[name=_continue]")
    expect(page.locator("#jobs-next-runs tbody tr")).to_have_count(5)
    page.fill("#id_interval_seconds_0", "0.001")
    page.click("input[name=_continue]")
    expect(page.locator(".errorlist")).to_contain_text("1 second at least")
    expect(page.locator("#jobs-next-runs")).to_contain_text("1 second at least")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_task_runs_now_and_its_result_is_read(
    open_page: Open, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    page = open_page("/admin/django_jobs/taskdefinition/?q=jobs.total", theme=theme, size=size)
    page.click(FIRST_ROW)
    page.click("a:text('Run now')")
    expect(page.locator("#id_call-currency")).to_have_value("EUR")
    expect(page.locator("#id_call-rounded")).to_be_checked()
    fits(page)
    page.fill("#id_call-month", "2026-11-01")
    page.fill("#id_call-limit", "3")
    picture(page, f"admin-run-{theme}-{size['width']}")
    page.click("input[value='Run now']")
    expect(page.locator(".messagelist")).to_contain_text("Enqueued the job")
    fits(page)
    page.click(".messagelist a")
    page.wait_for_url("**/change/**")
    until(lambda: page.reload() and "/jobresult/" in page.url, 30, what="the end of the job")
    expect(page.locator(".fieldBox.field-shown_status")).to_contain_text("succeeded")
    expect(page.locator(".field-shown_result")).to_contain_text("EUR November: 15, 3")
    fits(page)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_failed_job_is_found_read_and_retried_in_three_clicks(
    open_page: Open, site: Site, failed: str, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    page = open_page("/admin/django_jobs/", theme=theme, size=size)
    page.goto("/admin/django_jobs/jobresult/?status=failed")
    expect(page.locator("#result_list")).to_contain_text("PaymentError")
    fits(page)
    page.click(FIRST_ROW)
    trace = page.locator(".field-shown_traceback .jobs-traceback")
    expect(trace).to_contain_text("The bank answered <h1>503 Service Unavailable</h1>")
    own = trace.locator("> .jobs-frame")
    expect(own.first).to_contain_text("_ask_the_bank")
    library = trace.locator("details.jobs-library >> nth=0")
    expect(library.locator("summary")).to_contain_text("json")
    expect(library.locator(".jobs-frame >> nth=0")).to_be_hidden()
    library.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(library.locator(".jobs-frame >> nth=0")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".field-shown_args")).to_contain_text("<b>Ada</b>")
    fits(page)
    picture(page, f"admin-result-{theme}-{size['width']}", "#content h1" if size is DESK else ".field-shown_error")
    page.click("button:text('Retry')")
    expect(page.locator(".messagelist")).to_contain_text("waiting to run again")
    ended(site, failed)
    page.goto(f"/admin/django_jobs/jobresult/{failed}/change/")
    expect(page.locator(".fieldBox.field-shown_status")).to_contain_text("succeeded")
    expect(page.locator(".field-shown_result")).to_contain_text("order 7: paid")


def test_selected_jobs_are_retried_after_a_question(open_page: Open, site: Site, failed: str) -> None:
    page = open_page(f"/admin/django_jobs/jobresult/?q={failed}")
    page.check("#result_list tbody input >> nth=0")
    page.select_option("select[name=action]", "retry_selected")
    page.click(".actions button")
    expect(page.locator("#content")).to_contain_text("Run 1 job again?")
    page.click("input[value='Retry']")
    expect(page.locator(".messagelist")).to_contain_text("1 job is waiting to run again.")
    ended(site, failed)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_scheduled_job_is_found_and_cancelled(
    open_page: Open, site: Site, picture: Callable[..., None], theme: str, size: dict[str, int]
) -> None:
    job_id = enqueue(site, "clean_up.apply_async(countdown=3600)")
    page = open_page("/admin/django_jobs/", theme=theme, size=size)
    page.locator("main").get_by_role("link", name="Jobs", exact=True).click()
    page.locator(".jobs-tabs").get_by_role("link", name="Scheduled").click()
    row = page.locator("tr", has_text=job_id)
    expect(row).to_contain_text("scheduled")
    fits(page)
    picture(page, f"admin-jobs-{theme}-{size['width']}")
    row.get_by_role("button").click()
    expect(page.locator(".messagelist")).to_contain_text("The job is cancelled")
    expect(page.locator("tr", has_text=job_id)).to_have_count(0)
    page.click("text=Count them")
    expect(page.locator("#jobs-stats-heading")).to_contain_text("How many there are")
    fits(page)


def test_the_contrast_of_every_state_is_enough(open_page: Open) -> None:
    """WCAG's 4.5 to 1 for words, in both themes."""
    states = ["succeeded", "failed", "quarantined", "cancelled", "expired", "running", "retrying", "parked", "paused"]
    for theme in THEMES:
        page = open_page("/admin/django_jobs/job/", theme=theme)
        for state in states:
            assert page.evaluate(CONTRAST, f"jobs-state jobs-state-{state}") >= 4.5, (theme, state)
        assert page.evaluate(CONTRAST, "jobs-problem") >= 4.5


CONTRAST = """(names) => {
    const box = document.createElement("span");
    box.className = names;
    document.querySelector("main").append(box);
    const style = getComputedStyle(box);
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
            .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [low, high] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
    box.remove();
    return (high + 0.05) / (low + 0.05);
}"""


def test_what_a_page_complains_of_is_noticed(browser: Browser, site: Site) -> None:
    """Otherwise the silence of all other tests would mean nothing."""
    from tests.browser.harness import Complaints

    complaints = Complaints()
    with browser.new_page() as page:
        complaints.watch(page)
        page.goto(f"{site.url}/admin/login/")
        page.evaluate("document.body.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))")
        with page.expect_event("pageerror"):
            page.evaluate("setTimeout(() => { alert(1); missing(); })")
        page.goto(f"{site.url}/nowhere/")
    assert {told.partition(":")[0] for told in complaints.found} >= {"policy", "dialog", "error", "404"}


HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></details><img src=x onerror=alert(2)>",
    "\"'><svg onload=alert(3)>",
    "<style>*{display:none}</style>",
    "javascript:alert(4)",
    "\u202etxt.exe",
    "</textarea></title><iframe src=//evil.example>",
    "<form action=//evil.example><button>x",
    "<base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "x" * 10_000,
]


def test_hostile_text_runs_nothing_on_any_page(open_page: Open, site: Site) -> None:
    """The pages' own complaints (dialogs, violations, errors) fail this test at its end."""
    enqueue(site, f"[charge.apply_async((text, text)).id for text in {HOSTILE!r}][-1]")
    later = enqueue(
        site, f"[charge.apply_async((text, {{text: text}}), countdown=3600).id for text in {HOSTILE!r}][-1]"
    )
    page = open_page("/admin/django_jobs/job/?state=scheduled")
    page.goto(f"/admin/django_jobs/job/{later}/change/")
    expect(page.locator(".field-shown_args pre")).to_be_visible()
    until(
        lambda: (
            page.goto("/admin/django_jobs/jobresult/?q=charge")
            and page.locator("#result_list tbody tr").count() >= len(HOSTILE)
        ),
        30,
    )
    links = [link.get_attribute("href") for link in page.locator("#result_list tbody th a").all()]
    for link in links[: len(HOSTILE)]:
        page.goto(str(link))
        page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        expect(page.locator(".field-shown_args pre")).to_be_visible()
        assert page.locator("main iframe, main img[src=x], main base, main meta, main style").count() == 0
        fits(page)
