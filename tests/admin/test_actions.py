"""What the actions do: once, only if things still are as the page showed them, and they say so."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_jobs.admin import once
from django_jobs.backends.memory import MemoryBroker, MemoryResultStore
from django_jobs.connections import connections
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.message import Message, decode_body, encode_body
from django_jobs.core.serializer import from_plain
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.models import JobResult, TaskDefinition
from tests.admin.conftest import get, make_result, make_schedule, messages_of

pytestmark = pytest.mark.django_db


def url(model: str, view: str, *args: Any) -> str:
    return reverse(f"admin:django_jobs_{model}_{view}", args=args)


def field(html: str, name: str) -> str:
    """Return the value of a hidden field, as a browser unescapes it."""
    from html import unescape

    return unescape(html.split(f'name="{name}" value="')[1].split('"', maxsplit=1)[0])


def send(client: Client, page: str, form: dict[str, Any] | None = None) -> str:
    return messages_of(client.post(page, form or {}, follow=True))


# -- run a task now ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tasks: dict[str, TaskDefinition]) -> str:
    return url("taskdefinition", "run", tasks["ship"].pk)


def test_a_task_runs_with_the_arguments_of_the_form(admin_client: Client, run: str) -> None:
    form = {
        "call-order": "7", "call-weight": "1.5", "call-address": "<b>", "call-when": "2030-01-31",
        "call-parts": '{"a": 1}',
        once.FIELD: field(get(admin_client, run), once.FIELD),
    }  # fmt: skip
    assert "Enqueued the job" in send(admin_client, run, form)
    (view,) = connections.broker.list()
    assert (view.task, view.queue) == ("admin_tests.ship", "parcels")
    kwargs = from_plain(decode_body(view.body).kwargs)
    assert {**kwargs, "when": str(kwargs["when"])} == {
        "order": 7, "weight": 1.5, "address": "<b>", "express": False, "when": "2030-01-31", "parts": {"a": 1},
    }  # fmt: skip
    assert LogEntry.objects.get().change_message == f"Ran now, as job {view.id}."


def test_a_form_that_is_sent_twice_makes_one_job(admin_client: Client, run: str) -> None:
    form = {"call-order": "7", once.FIELD: field(get(admin_client, run), once.FIELD)}
    send(admin_client, run, form)
    assert "was sent before" in send(admin_client, run, form)
    assert len(connections.broker.list()) == LogEntry.objects.count() == 1


def test_two_forms_make_two_jobs(admin_client: Client, run: str) -> None:
    for _ in range(2):
        send(admin_client, run, {"call-order": "7", once.FIELD: field(get(admin_client, run), once.FIELD)})
    assert len(connections.broker.list()) == LogEntry.objects.count() == 2


def test_a_form_of_another_person_or_another_task_or_a_forged_one_makes_none(
    admin_client: Client, staff: Any, run: str
) -> None:
    schedule = url("periodicschedule", "change", make_schedule().pk)
    tokens = [
        "",
        "x:y:z",
        field(get(staff("run_task"), run), once.FIELD),
        field(get(admin_client, schedule), once.FIELD),
    ]
    for token in tokens:
        html = admin_client.post(run, {"call-order": "7", once.FIELD: token}).content.decode()
        assert "more than 20 hours old" in html
    assert connections.broker.list() == []


def test_a_form_that_is_filled_in_wrongly_says_where_and_keeps_what_was_typed(admin_client: Client, run: str) -> None:
    form = {
        "call-order": "seven", "call-address": "Elm <b>", once.FIELD: field(get(admin_client, run), once.FIELD),
    }  # fmt: skip
    html = admin_client.post(run, form).content.decode()
    assert "Enter a whole number." in html
    assert 'value="Elm &lt;b&gt;"' in html
    assert connections.broker.list() == []


def test_what_a_job_cannot_carry_is_said_in_the_form(admin_client: Client, run: str) -> None:
    token = field(get(admin_client, run), once.FIELD)
    html = admin_client.post(run, {"call-order": str(2**70), once.FIELD: token}).content.decode()
    assert "past 64 bit" in html
    html = admin_client.post(
        run, {"call-order": "1", "call-address": "x" * 300_000, once.FIELD: token}
    ).content.decode()
    assert "MAX_PAYLOAD_BYTES" in html
    assert connections.broker.list() == []


def test_only_tasks_that_allow_it_are_run(admin_client: Client, tasks: dict[str, TaskDefinition]) -> None:
    page = url("taskdefinition", "run", tasks["secret"].pk)
    form = {"call-order": "7", once.FIELD: ""}
    assert [admin_client.get(page).status_code, admin_client.post(page, form).status_code] == [403, 403]
    assert page not in get(admin_client, url("taskdefinition", "change", tasks["secret"].pk))
    gone = TaskDefinition.objects.create(
        name="os.system", queue="q", first_seen_at=tasks["ship"].first_seen_at, last_seen_at=tasks["ship"].last_seen_at
    )
    assert admin_client.post(url("taskdefinition", "run", gone.pk), form).status_code == 403
    assert connections.broker.list() == []


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_a_schedule_runs_now_as_a_tick_would_once(admin_client: Client, tasks: dict[str, TaskDefinition]) -> None:
    row = make_schedule(args="[3]", queue="night", priority=7, source="code", paused=True)
    token = field(get(admin_client, url("periodicschedule", "change", row.pk)), once.FIELD)
    page = url("periodicschedule", "run", row.pk)
    assert "Enqueued the job" in send(admin_client, page, {once.FIELD: token})
    assert "was sent before" in send(admin_client, page, {once.FIELD: token})
    assert "too old" in send(admin_client, page)
    (view,) = connections.broker.list()
    body = decode_body(view.body)
    assert (view.task, view.queue, view.priority, body.args) == ("admin_tests.ship", "night", 7, (3,))
    assert body.headers == {"schedule": "nightly"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"task": "os.system"}, "No task is registered"),
        ({"args": "[]"}, "missing 'order'"),
        ({"args": "{"}, "no JSON"),
        ({"crontab": "61 * * * *"}, "out of range"),
    ],
)
def test_a_schedule_that_makes_no_job_says_why(
    admin_client: Client, tasks: dict[str, TaskDefinition], fields: dict[str, str], why: str
) -> None:
    row = make_schedule(**fields)
    token = field(get(admin_client, url("periodicschedule", "change", row.pk)), once.FIELD)
    assert why in send(admin_client, url("periodicschedule", "run", row.pk), {once.FIELD: token})
    assert (connections.broker.list(), LogEntry.objects.count()) == ([], 0)


def test_a_schedule_is_paused_and_resumed_once(admin_client: Client) -> None:
    row = make_schedule(next_run_us=5, source="settings")
    pause, resume = (url("periodicschedule", name, row.pk) for name in ("pause", "resume"))
    assert send(admin_client, pause) == "It is paused."
    row.refresh_from_db()
    assert (row.paused, row.next_run_us) == (True, None)
    assert send(admin_client, pause) == "It was paused before."
    assert "runs again" in send(admin_client, resume)
    assert send(admin_client, resume) == "It was not paused."
    assert sorted(LogEntry.objects.values_list("change_message", flat=True)) == ["Paused.", "Resumed."]


def test_selected_schedules_are_paused_whatever_their_source(admin_client: Client) -> None:
    rows = [make_schedule(source, source=source) for source in ("code", "settings", "admin")]
    make_schedule("other")
    form = {"action": "pause_selected", "index": 0, "_selected_action": [row.pk for row in rows]}
    page = url("periodicschedule", "changelist")
    assert send(admin_client, page, form) == "3 schedules are paused now."
    assert send(admin_client, page, form) == "0 schedules are paused now."
    assert LogEntry.objects.count() == 3
    assert send(admin_client, page, {**form, "action": "resume_selected"}) == "3 schedules run again."


# -- retry -------------------------------------------------------------------------------------------------------------


def seen(html: str) -> str:
    return field(html, "seen")


def test_a_failed_job_is_retried_once(admin_client: Client) -> None:
    page = url("jobresult", "change", make_result().pk)
    form = {"seen": seen(get(admin_client, page))}
    retry = url("jobresult", "retry", "job-1")
    assert send(admin_client, retry, form) == "The job is waiting to run again."
    assert "no longer what the page showed" in send(admin_client, retry, form)
    (view,) = connections.broker.list()
    assert (view.id, view.failures) == ("job-1", 0)
    entry = LogEntry.objects.get()
    assert (entry.change_message, entry.object_id, entry.get_admin_url()) == ("Retried.", "job-1", page)


def test_a_job_that_failed_again_since_is_not_retried_from_the_old_page(admin_client: Client) -> None:
    row = make_result()
    form = {"seen": seen(get(admin_client, url("jobresult", "change", row.pk)))}
    JobResult.objects.update(attempt=3)
    assert "no longer what the page showed" in send(admin_client, url("jobresult", "retry", "job-1"), form)
    assert (connections.broker.list(), LogEntry.objects.count()) == ([], 0)


@pytest.mark.parametrize("form", [{}, {"seen": ""}, {"seen": "2 failed job-2"}, {"seen": "2 succeeded job-3"}])
def test_a_form_for_another_job_retries_none(admin_client: Client, form: dict[str, str]) -> None:
    make_result("job-1")
    make_result("job-2")
    make_result("job-3", status="succeeded")
    for job_id in ("job-1", "job-3"):
        assert "not retried" in send(admin_client, url("jobresult", "retry", job_id), form)
    assert connections.broker.list() == []


def test_a_success_has_no_button(admin_client: Client) -> None:
    assert "/retry/" not in get(admin_client, url("jobresult", "change", make_result(status="succeeded").pk))


def test_selected_jobs_are_retried_after_a_question(admin_client: Client) -> None:
    for number, status in enumerate(["failed", "expired", "succeeded", "cancelled", "quarantined"]):
        make_result(f"job-{number}", status=status)
    form = {"action": "retry_selected", "index": 0, "_selected_action": [f"job-{number}" for number in range(4)]}
    question = admin_client.post(url("jobresult", "changelist"), form).content.decode()
    assert "Run 3 jobs again?" in question
    assert connections.broker.list() == []
    answers = [part.split('"')[0] for part in question.split('name="seen" value="')[1:]]
    assert len(answers) == 3
    page = url("jobresult", "retry_selected")
    assert send(admin_client, page, {"seen": answers}) == "3 jobs are waiting to run again."
    assert {view.id for view in connections.broker.list()} == {"job-0", "job-1", "job-3"}
    assert "3 jobs were not retried" in send(admin_client, page, {"seen": answers})
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == {"job-0", "job-1", "job-3"}


def test_where_all_selected_have_succeeded_there_is_no_question(admin_client: Client) -> None:
    make_result(status="succeeded")
    form = {"action": "retry_selected", "index": 0, "_selected_action": "job-1"}
    assert "all succeeded" in send(admin_client, url("jobresult", "changelist"), form)


# -- live jobs and cancel ----------------------------------------------------------------------------------------------


def enqueue(*job_ids: str, **fields: Any) -> None:
    values = {"task": "shop.jobs.send", "queue": "mail", "body": encode_body((1,), {}), **fields}
    connections.broker.enqueue_many([Message(id=job_id, **values) for job_id in job_ids])


def claim(*queues: str) -> None:
    name = ClaimName("session", 1, 1)
    connections.broker.exchange((), Want(name=name, queues=queues, limit=1))


def test_a_waiting_job_is_cancelled_once(admin_client: Client) -> None:
    enqueue("live", "other")
    page = url("job", "cancel", "live")
    assert send(admin_client, page) == "The job is cancelled: it will not start."
    assert "nothing was cancelled" in send(admin_client, page)
    assert [view.id for view in connections.broker.list()] == ["other"]
    assert LogEntry.objects.get().change_message == "Cancel: cancelled."


def test_the_cancel_of_a_running_job_is_asked_for_once(admin_client: Client) -> None:
    enqueue("live")
    claim("mail")
    assert "its cancel is asked for" in send(admin_client, url("job", "cancel", "live"))
    assert "asked for before" in send(admin_client, url("job", "cancel", "live"))
    html = get(admin_client, url("job", "changelist"))
    assert "its cancel is asked for" in html
    assert url("job", "cancel", "live") not in html
    assert LogEntry.objects.count() == 1


def test_an_unknown_job_is_not_cancelled_before_it_comes(admin_client: Client) -> None:
    assert "no such job" in send(admin_client, url("job", "cancel", "never-seen"))
    enqueue("never-seen")
    assert len(connections.broker.list()) == 1


def test_after_a_cancel_the_same_page_of_jobs_is_shown(admin_client: Client) -> None:
    enqueue("live")
    answer = admin_client.post(url("job", "cancel", "live"), {"state": "queued", "queue": "mail", "task": "<x>"})
    assert answer["Location"] == url("job", "changelist") + "?state=queued&queue=mail&task=%3Cx%3E"


def shown(html: str, *job_ids: str) -> set[str]:
    return {job_id for job_id in job_ids if f"<small>{job_id}</small>" in html}


def test_live_jobs_are_shown_by_state_and_queue(admin_client: Client) -> None:
    connections.use(MemoryBroker(), MemoryResultStore())
    try:
        enqueue("runs", queue="a")
        claim("a")
        enqueue("waits", queue="b", priority=9)
        enqueue("later", delay_us=3_600_000_000)
        page, ids = url("job", "changelist"), ("runs", "waits", "later")
        assert shown(get(admin_client, page), *ids) == set(ids), "the same page for every broker"
        assert shown(get(admin_client, page, state="running"), *ids) == {"runs"}
        assert shown(get(admin_client, page, state="queued"), *ids) == {"waits"}
        assert shown(get(admin_client, page, state="scheduled"), *ids) == {"later"}
        assert shown(get(admin_client, page, state="parked"), *ids) == set()
        assert shown(get(admin_client, page, queue="b"), *ids) == {"waits"}
        assert "priority 9" in get(admin_client, page, queue="b")
        assert "not before" in get(admin_client, page, state="scheduled")
    finally:
        connections.reset()


def test_parked_jobs_are_apart_from_those_in_line(admin_client: Client) -> None:
    from django_jobs.core.outcome import Kind, Outcome

    enqueue("parked", task="nobody.knows")
    exchanged = connections.broker.exchange((), Want(name=ClaimName("s", 1, 1), queues=("mail",), limit=1))
    name, attempt = exchanged.claims[0].name, exchanged.claims[0].attempt
    connections.broker.exchange([Outcome(id="parked", name=name, attempt=attempt, kind=Kind.UNKNOWN_TASK)], None)
    enqueue("waits")
    page = url("job", "changelist")
    parked = get(admin_client, page, state="parked")
    assert shown(parked, "parked", "waits") == {"parked"}
    assert "no worker knows its task" in parked
    assert shown(get(admin_client, page, state="queued"), "parked", "waits") == {"waits"}


def test_live_jobs_come_in_pages(admin_client: Client) -> None:
    ids = [f"job-{number:03}" for number in range(120)]
    enqueue(*ids)
    pages, query = [], "?queue=mail"
    while query:
        html = get(admin_client, url("job", "changelist") + query)
        pages.append(shown(html, *ids))
        query = (
            html.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
            if 'rel="next"' in html
            else ""
        )
    assert [len(page) for page in pages] == [50, 50, 20]
    assert set().union(*pages) == set(ids)


def test_a_job_is_found_by_its_id_whether_it_lives_or_has_ended(admin_client: Client) -> None:
    enqueue("live")
    make_result("ended")
    page = url("job", "changelist")

    def found(job_id: str) -> Any:
        return admin_client.get(page, {"id": job_id}, follow=True)

    live, result = url("job", "change", "live"), url("jobresult", "change", "ended")
    assert found(" live ").redirect_chain[-1][0] == live
    assert found("ended").redirect_chain[-1][0] == result
    assert "neither a live job nor a result" in messages_of(found("nobody"))
    assert admin_client.get(url("jobresult", "change", "live"))["Location"] == live
    html = get(admin_client, live)
    assert "shop.jobs.send" in html
    assert url("job", "cancel", "live") in html


class DownBroker(MemoryBroker):
    """A broker that cannot be reached."""

    in_transaction = True  # else an enqueue would wait for the end of the test's transaction

    def list(self, **wanted: Any) -> Any:
        raise BrokerUnavailable("Redis at redis://jobs:6379 <does not> answer.")

    def state_of(self, *given: Any, **wanted: Any) -> Any:
        raise BrokerUnavailable("Redis at redis://jobs:6379 <does not> answer.")

    enqueue_many = requeue = cancel = pause = resume = paused = state_of


def test_a_broker_that_is_down_is_told_of_and_nothing_is_logged(
    admin_client: Client, tasks: dict[str, TaskDefinition], run: str
) -> None:
    token = field(get(admin_client, run), once.FIELD)
    results = connections.results
    make_result()
    broker = DownBroker()
    connections.use(broker, results)
    try:
        told = "&lt;does not&gt; answer."
        assert told in get(admin_client, url("job", "changelist"))
        assert told in admin_client.post(run, {"call-order": "1", once.FIELD: token}).content.decode()
        for page in (url("job", "cancel", "x"), url("jobresult", "retry", "job-1")):
            form = {"seen": "2 failed job-1"}
            assert told in admin_client.post(page, form, follow=True).content.decode(), page
        assert told in admin_client.get(url("job", "change", "x"), follow=True).content.decode()
        assert admin_client.get(url("jobresult", "change", "job-1")).status_code == 200, "the database still answers"
    finally:
        connections.reset()
    assert LogEntry.objects.count() == 0
