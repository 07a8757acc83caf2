"""The pages show what there is to those who may see it: escaped, with few queries, for hostile text and URLs too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin import AdminSite
from django.db import connection
from django.db import connections as databases
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone

from django_jobs.admin import JobResultAdmin, register
from django_jobs.admin.base import COUNTED_AT_MOST
from django_jobs.client.terms import LAST_US
from django_jobs.connections import connections
from django_jobs.core.attempts import AttemptRecord, append
from django_jobs.core.bounds import Bounds
from django_jobs.core.message import Message, encode_body
from django_jobs.models import JobResult, TaskDefinition
from tests.admin.conftest import NOW, TRACEBACK, get, make_definition, make_result, make_schedule, today

pytestmark = pytest.mark.django_db

LISTS = ("taskdefinition", "periodicschedule", "jobresult", "job")
HOSTILE = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "javascript:alert(1)",
    "{{ 7|add:7 }}{% debug %}",
    "\u202egnp.exe \u2066\u200f",
    "a\x1b[31mred\x07\x7f",
    "<!--><svg/onload=alert(1)>",
    "]]><a href=//evil.example>x</a>",
    "😀\u0000'".replace("\0", "\ufffd") + "; DROP TABLE x; --",
    "<b>" + "x" * 10_000,
]


def page_of(model: str, view: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:django_jobs_{model}_{view}", args=args)


def enqueue(job_id: str, task: str = "shop.jobs.send", **fields: Any) -> None:
    values = {"queue": "mail", "body": encode_body((1,), {"name": "Ada"})}
    connections.broker.enqueue_many([Message(id=job_id, task=task, **{**values, **fields})])


@pytest.mark.parametrize("text", [*HOSTILE, pytest.param("nul\0nul", marks=pytest.mark.skipif(
    connection.vendor == "postgresql", reason="PostgreSQL stores no NUL"))], ids=range(len(HOSTILE) + 1))  # fmt: skip
def test_hostile_text_is_escaped_on_every_page(viewer: Client, text: str) -> None:
    body = encode_body((text,), {"name": text, text[:50]: 1}, headers={"x": text}, parent_id=text[:60])
    told = append("", AttemptRecord(attempt=1, cause=text, worker=text, error_class=text, message=text, traceback=text))
    frames = f'Traceback:\n  File "{text}", line 1, in {text}\n    {text}\n{text}: {text}\n'
    made = make_result(
        task=text[:255], queue=text[:128], error_class=text[:255], error_message=text, traceback=frames, body=body,
        result=text, attempts=told, worker=text[:255],
    )  # fmt: skip
    done = make_result("job-2", status="succeeded", result=text, body=text)
    task = make_definition(text[:255], queue=text[:128], doc=text, signature=text, options=text, module=text[:255])
    plan = make_schedule(
        text[:255], task=text[:255], args=text, kwargs=text, crontab=text[:200], time_zone=text[:100], queue=text[:128],
        problem=text, source="settings", last_job_id=text[:64],
    )  # fmt: skip
    enqueue("job-3", task=text[:255], body=body)
    pages = [page_of(model) for model in LISTS]
    pages += [page_of("jobresult", "change", made.pk), page_of("jobresult", "change", done.pk)]
    pages += [page_of("taskdefinition", "change", task.pk), page_of("periodicschedule", "change", plan.pk)]
    pages += [page_of("job", "change", "job-3"), page_of("job") + "?task=" + text[:100] + "&queue=" + text[:20]]
    for page in pages:
        html = get(viewer, page)
        assert "style=" not in html.partition("<main")[2].partition("</main>")[0].replace(escaped(text), ""), page
        if set(text) & set("<>\"'&"):
            assert text not in html, page
        assert "<script>alert" not in html
        assert "onerror=alert(1)>" not in html.replace("&gt;", "")
    assert escaped(text) in get(viewer, pages[4])
    assert escaped(text) in get(viewer, pages[8])


def escaped(text: str) -> str:
    from django.utils.html import escape

    return str(escape(text))


def test_a_result_shows_the_call_the_error_and_the_attempts(viewer: Client) -> None:
    html = get(viewer, page_of("jobresult", "change", make_result().pk))
    for text in (
        "shop.errors.Sold",
        "the bank is closed",
        "<bdi>/srv/shop/jobs.py</bdi>, line 12, in <bdi>send</bdi>",
        "2 frames of libraries: <bdi>requests, socket</bdi>",
        "&quot;datetime&quot;",
        "&quot;tenant&quot;: &quot;acme&quot;",
        "1.500 s",
        "KeyError: &#x27;x&#x27;",
        "host.1",
        page_of("jobresult", "change", "p-1"),
    ):
        assert text in html, text
    assert html.index("jobs-library") > html.index("/srv/shop/jobs.py")
    assert escaped(TRACEBACK) in html, "the whole text is there to be copied"


def test_a_message_that_cannot_be_read_is_shown_as_it_is(viewer: Client) -> None:
    make_result("broken", body="{not json <b>", result="[1, ", status="succeeded", attempts="[<", started_at=None)
    html = get(viewer, page_of("jobresult", "change", "broken"))
    for text in ("{not json &lt;b&gt;</pre>", "[1, </pre>", "[&lt;</pre>"):
        assert text in html


@pytest.mark.skipif(not settings.USE_TZ, reason="without time zones the reader has none of their own")
def test_the_end_of_time_is_shown_east_of_utc_too(viewer: Client) -> None:
    enqueue("live", eta_us=LAST_US)
    with timezone.override("Asia/Tokyo"):
        assert "9999-12-31 23:59:59" in get(viewer, page_of("job", "change", "live"))
        assert "9999-12-31 23:59:59" in get(viewer, page_of("job"))


def test_a_task_shows_what_it_is_and_its_newest_results(viewer: Client, tasks: dict[str, TaskDefinition]) -> None:
    make_result("mine", task="admin_tests.ship")
    make_result("other")
    html = get(viewer, page_of("taskdefinition", "change", tasks["ship"].pk))
    for text in ("Ship an order.", "&quot;admin_runnable&quot;: true", "parcels", ">mine<", "Sold"):
        assert text in html, text
    assert ">other<" not in html


def test_results_are_searched_and_filtered(viewer: Client) -> None:
    make_result("job-1")
    make_result("job-2", task="shop.jobs.other", status="succeeded", queue="default", error_class="", error_message="")
    make_definition("shop.jobs.send")
    make_definition("shop.jobs.other", queue="default")

    def found(**query: str) -> set[str]:
        html = get(viewer, page_of("jobresult"), **query)
        return {job_id for job_id in ("job-1", "job-2") if f">{job_id}</a>" in html}

    assert found() == found(q="shop.jobs") == {"job-1", "job-2"}
    assert found(q="job-2") == found(q="jobs.other") == {"job-2"}
    assert found(q="sold") == found(q="bank is") == {"job-1"}
    assert found(q="nowhere") == set()
    assert found(status="failed") == {"job-1"}
    assert found(task="shop.jobs.send") == {"job-1"}
    assert found(queue="default") == {"job-2"}
    assert found(status="failed", queue="default") == set()


def test_results_are_filtered_by_the_day_of_their_end(viewer: Client) -> None:
    html = get(viewer, page_of("jobresult"))
    make_result("then")
    make_result("later", finished_at=NOW + timedelta(days=1))
    assert f"?day={today().isoformat()}" in html
    assert f"?day={(today() - timedelta(days=6)).isoformat()}" in html
    html = get(viewer, page_of("jobresult"), day="2030-01-01")
    assert (">then</a>" in html, ">later</a>" in html) == (True, False)
    assert ">then</a>" not in get(viewer, page_of("jobresult"), day="2029-12-31")


WACKY = [
    "'\"<>%",
    "x" * 10_000,
    "\x00",
    "1=1",
    "-1",
    "9" * 400,
    "0001-01-01",
    "9999-12-31",
    "\ud7ff\u202e",
    "__class__",
    "[]",
]


@pytest.mark.parametrize("value", WACKY)
def test_a_hostile_query_breaks_nothing(admin_client: Client, value: str) -> None:
    make_result()
    make_schedule()
    enqueue("live")
    names = (
        "q",
        "p",
        "o",
        "status",
        "task",
        "queue",
        "day",
        "state",
        "after",
        "counts",
        "id",
        "paused__exact",
        "source__exact",
        "_facets",
        "all",
        "e",
    )
    for model in LISTS:
        for name in names:
            assert admin_client.get(page_of(model), {name: value}).status_code in {200, 302}, (model, name)
    for model in LISTS:
        answer = admin_client.get(page_of(model, "change", value.replace("\0", "%00") or "x"))
        assert answer.status_code in {302, 404}, model
    preview = page_of("periodicschedule", "preview")
    for name in ("crontab", "day_rule", "interval_seconds_0", "interval_seconds_1", "time_zone"):
        query = {"crontab": "* * * * *", name: value}
        assert admin_client.get(preview, query).status_code == 200, name


def queries(client: Client, page: str) -> list[str]:
    with CaptureQueriesContext(databases["default"]) as captured:
        get(client, page)
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("model", LISTS)
def test_a_list_takes_as_many_queries_for_fifty_rows_as_for_one(
    admin_client: Client, django_assert_num_queries: Callable[..., Any], model: str
) -> None:
    def make(numbers: range) -> None:
        for number in numbers:
            name = f"n{number}"
            {
                "taskdefinition": make_definition,
                "periodicschedule": make_schedule,
                "jobresult": make_result,
                "job": enqueue,
            }[model](name)  # type: ignore[operator]

    make(range(1))
    get(admin_client, page_of(model))
    one = queries(admin_client, page_of(model))
    make(range(1, 50))
    assert len(one) <= 12
    with django_assert_num_queries(len(one)):
        html = get(admin_client, page_of(model))
    assert "n0" in html
    assert "n49" in html


def test_the_page_of_a_task_takes_as_many_queries_for_many_results(
    admin_client: Client, django_assert_num_queries: Callable[..., Any]
) -> None:
    page = page_of("taskdefinition", "change", make_definition().pk)
    make_result("r0")
    get(admin_client, page)
    one = queries(admin_client, page)
    for number in range(1, 50):
        make_result(f"r{number}")
    with django_assert_num_queries(len(one)):
        get(admin_client, page)


@pytest.mark.parametrize("model", ["taskdefinition", "periodicschedule", "jobresult"])
def test_a_page_never_counts_a_whole_table(admin_client: Client, model: str) -> None:
    make_result()
    make_definition()
    make_schedule()
    counts = [sql for sql in queries(admin_client, page_of(model)) if "COUNT(" in sql and "django_jobs" in sql]
    assert counts
    assert all(f"LIMIT {COUNTED_AT_MOST}" in sql for sql in counts), counts
    assert "_facets" not in get(admin_client, page_of(model)), "Django's counts of each filter"


def test_the_jobs_page_counts_only_when_asked(admin_client: Client) -> None:
    enqueue("live")
    assert not [sql for sql in queries(admin_client, page_of("job")) if "COUNT(" in sql]
    assert "How many there are" in get(admin_client, page_of("job"), counts="1")


def test_the_key_by_which_a_job_takes_turns_is_shown(viewer: Client) -> None:
    for job_id, key in (("one", "<b>shop</b>"), ("two", ""), ("three", None)):
        enqueue(job_id, bounds=Bounds(fair=key), body=encode_body((), {}, bounds=Bounds(fair=key)))
    assert "&lt;b&gt;shop&lt;/b&gt;" in get(viewer, page_of("job", "change", "one"))
    assert "the key of all that have none" in get(viewer, page_of("job", "change", "two"))
    assert "the key of all that have none" not in get(viewer, page_of("job", "change", "three"))


def test_without_the_permission_nothing_is_shown(client: Client, staff: Callable[..., Client]) -> None:
    nobody = staff(sees=())
    assert [nobody.get(page_of(model)).status_code for model in LISTS] == [403] * 4
    assert [client.get(page_of(model)).status_code for model in LISTS] == [302] * 4


def test_the_jobs_page_is_reached_from_the_index_of_the_app(viewer: Client) -> None:
    index = get(viewer, reverse("admin:app_list", args=["django_jobs"]))
    assert all(f'href="{page_of(model)}"' in index for model in LISTS)


# -- a site of one's own -----------------------------------------------------------------------------------------------

own_site = AdminSite(name="own")
register(own_site)
small_site = AdminSite(name="small")
small_site.register(JobResult, JobResultAdmin)
urlpatterns = [
    path("own/", own_site.urls),
    path("small/", small_site.urls),
    path("", include(settings.ROOT_URLCONF)),
]


@override_settings(ROOT_URLCONF=__name__)
def test_every_page_stays_on_an_admin_site_of_ones_own(admin_client: Client, tasks: dict[str, TaskDefinition]) -> None:
    def own(model: str, view: str = "changelist", *args: Any) -> str:
        return reverse(f"admin:django_jobs_{model}_{view}", args=args, current_app="own")

    made, plan = make_result(), make_schedule()
    make_definition("shop.jobs.send")
    enqueue("live")
    pages = [own(model) for model in LISTS]
    pages += [
        own("jobresult", "change", made.pk),
        own("periodicschedule", "change", plan.pk),
        own("job", "change", "live"),
    ]
    pages += [own("taskdefinition", "change", tasks["ship"].pk), own("taskdefinition", "run", tasks["ship"].pk)]
    for page in pages:
        assert page.startswith("/own/")
        html = get(admin_client, page)
        assert 'href="/admin/' not in html, page
        assert 'action="/admin/' not in html, page
    assert admin_client.post(own("job", "cancel", "live"))["Location"].startswith("/own/")


@override_settings(ROOT_URLCONF=__name__)
def test_a_site_with_some_of_the_pages_has_no_links_to_the_others(admin_client: Client) -> None:
    make_definition()
    page = reverse("admin:django_jobs_jobresult_change", args=[make_result().pk], current_app="small")
    html = get(admin_client, page)
    assert page.startswith("/small/")
    assert f'action="{page.replace("change", "retry")}"' in html
    assert 'href=""' not in html
    assert "taskdefinition" not in html
    answer = admin_client.get(page.replace("job-1", "nobody"))
    assert answer["Location"].startswith("/small/")
