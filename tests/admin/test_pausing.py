"""Pausing, resuming and purging from the admin: what people see, and what their clicks do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_jobs import paused
from django_jobs.connections import connections
from django_jobs.core.message import Message, encode_body
from django_jobs.core.states import State
from django_jobs.models import JobResult, TaskDefinition
from tests.admin.conftest import make_definition
from tests.admin.test_actions import DownBroker

pytestmark = pytest.mark.django_db
TASK = "shop.jobs.send"
HOSTILE = "<script>alert(1)</script>\u202e"


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:django_jobs_{name}", args=args)


def put(*ids: str, queue: str = "mail", task: str = TASK) -> None:
    connections.broker.enqueue_many(
        [Message(id=job_id, task=task, queue=queue, body=encode_body((), {})) for job_id in ids]
    )


def post(client: Client, url: str, **fields: str) -> tuple[str, list[str]]:
    answer = client.post(url, fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode(), [str(message) for message in answer.context["messages"]]


@pytest.fixture
def definition() -> TaskDefinition:
    return make_definition(TASK)


def test_a_queue_is_paused_and_resumed_with_a_click(admin_client: Client, definition: TaskDefinition) -> None:
    put("waiting")
    html, told = post(admin_client, page("job_pause"), queue="mail", reason="the  server is down")
    assert told == ["“mail” is paused: no more jobs of it are claimed. Those that are claimed go on."]
    (pause,) = paused()
    assert (str(pause.target), pause.by, pause.reason) == ("queue mail", "admin", "the server is down")
    assert "Something is paused" in html
    assert "waits: its queue is paused since" in html
    assert "by admin: the server is down" in html
    assert 'aria-label="Resume mail"' in html
    assert 'aria-label="Pause mail"' not in html
    assert "its queue is paused" in admin_client.get(page("job_change", "waiting")).content.decode()
    _, told = post(admin_client, page("job_pause"), queue="mail")
    assert told == ["“mail” was paused before."]
    html, told = post(admin_client, page("job_resume"), queue="mail")
    assert told == ["“mail” goes on."]
    assert "Something is paused" not in html
    assert paused() == []
    assert post(admin_client, page("job_resume"), queue="mail")[1] == ["“mail” was not paused (any more)."]
    entries = LogEntry.objects.order_by("pk").values_list("object_id", "object_repr", "change_message")
    assert list(entries) == [
        ("queue mail", "queue mail", "Paused."),
        ("queue mail", "queue mail", "Resumed."),
    ]


def test_a_task_is_paused_on_its_page_and_resumed_on_the_jobs_page(
    admin_client: Client, definition: TaskDefinition
) -> None:
    put("waiting", queue="other")
    change = page("taskdefinition_change", definition.pk)
    assert page("taskdefinition_pause", definition.pk) in admin_client.get(change).content.decode()
    html, told = post(admin_client, page("taskdefinition_pause", definition.pk))
    assert told == [f"“{TASK}” is paused: no more jobs of it are claimed. Those that are claimed go on."]
    assert page("taskdefinition_resume", definition.pk) in html
    assert "by admin" in html
    html = admin_client.get(page("job_changelist")).content.decode()
    assert f'aria-label="Resume {TASK}"' in html
    assert "waits: its task is paused since" in html
    assert post(admin_client, page("job_resume"), task=TASK)[1] == [f"“{TASK}” goes on."]
    assert page("taskdefinition_pause", definition.pk) in admin_client.get(change).content.decode()
    post(admin_client, page("taskdefinition_pause", definition.pk))
    assert post(admin_client, page("taskdefinition_resume", definition.pk))[1] == [f"“{TASK}” goes on."]
    assert paused() == []


def test_a_running_job_is_not_said_to_wait(admin_client: Client) -> None:
    from tests.management.test_jobs import Worker

    put("running")
    Worker().claim("mail")
    post(admin_client, page("job_pause"), queue="mail")
    assert "waits: its queue" not in admin_client.get(page("job_changelist")).content.decode()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "Nothing says what is meant"),
        ({"queue": "a b"}, "is no name of a queue"),
        ({"task": "a b"}, "is no name of a task"),
        ({"queue": "mail", "reason": "x" * 501}, "at most 500"),
    ],
)
def test_what_cannot_be_paused_is_told(admin_client: Client, fields: dict[str, str], says: str) -> None:
    _, (told,) = post(admin_client, page("job_pause"), **fields)
    assert says in told
    assert paused() == []
    assert not LogEntry.objects.exists()


def test_what_people_write_is_escaped(admin_client: Client) -> None:
    put("waiting")
    html, _ = post(admin_client, page("job_pause"), queue="mail", reason=HOSTILE)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_purge_says_how_many_and_asks_first(admin_client: Client) -> None:
    put("a", "b", "c")
    put("other", queue="other")
    url = f"{page('job_purge')}?queue=mail"
    html = admin_client.get(url).content.decode()
    assert "3 jobs wait. Cancel them all?" in html
    assert len(connections.broker.list()) == 4, "a look changes nothing"
    _, told = post(admin_client, url)
    assert told == ["3 jobs were cancelled."]
    assert [view.id for view in connections.broker.list()] == ["other"]
    assert JobResult.objects.filter(status=State.CANCELLED).count() == 3
    (entry,) = LogEntry.objects.all()
    assert (entry.object_repr, entry.change_message) == ("queue mail", "Purged: 3 jobs cancelled.")
    assert "No job waits." in admin_client.get(url).content.decode()


def test_a_purge_of_a_task_leaves_the_others(admin_client: Client) -> None:
    put("a", "b")
    put("other", task="shop.jobs.other")
    url = f"{page('job_purge')}?task={TASK}"
    assert "2 jobs wait" in admin_client.get(url).content.decode()
    post(admin_client, url)
    assert [view.id for view in connections.broker.list()] == ["other"]


def test_a_purge_needs_to_know_which_jobs(admin_client: Client) -> None:
    put("a")
    _, told = post(admin_client, page("job_purge"))
    assert told == ["Nothing says which jobs are meant: none was cancelled."]
    assert len(connections.broker.list()) == 1


def test_many_jobs_are_cancelled_in_several_clicks(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_jobs.admin.queues.AT_ONCE", 2)
    put("a", "b", "c")
    url = f"{page('job_purge')}?queue=mail"
    assert "2 jobs or more wait. Cancel the first 2 of them?" in admin_client.get(url).content.decode()
    assert post(admin_client, url)[1] == ["2 jobs were cancelled. There may be more: do it again."]
    assert post(admin_client, url)[1] == ["1 job was cancelled."]


def test_pauses_cost_as_many_queries_for_many_as_for_one(admin_client: Client, django_assert_num_queries: Any) -> None:
    from tests.admin.test_pages import queries

    put("job-0")
    connections.broker.pause(queue="q0")
    one = queries(admin_client, page("job_changelist"))
    put(*(f"job-{number}" for number in range(1, 40)))
    for number in range(1, 30):
        connections.broker.pause(queue=f"q{number}")
        connections.broker.pause(task=f"shop.jobs.task{number}")
    with django_assert_num_queries(len(one)):
        html = admin_client.get(page("job_changelist")).content.decode()
    assert html.count("jobs-state-paused") == 59


def test_a_broker_that_is_down_is_told(admin_client: Client, definition: TaskDefinition) -> None:
    connections.use(DownBroker(), connections.results)
    try:
        assert admin_client.get(page("taskdefinition_change", definition.pk)).status_code == 200
        for url, fields in (
            (page("taskdefinition_pause", definition.pk), {}),
            (page("job_pause"), {"queue": "mail"}),
            (f"{page('job_purge')}?queue=mail", {}),
        ):
            answer = admin_client.post(url, fields)
            assert answer.status_code == 302
            assert not LogEntry.objects.exists()
    finally:
        connections.reset()
