"""Each URL of ours x each kind of user: what is not granted is refused, and only a POST changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from django_jobs.admin import once, retrying
from django_jobs.connections import connections
from django_jobs.core.message import Message, encode_body
from django_jobs.models import JobResult, PeriodicSchedule, TaskDefinition
from django_jobs.testing.child import make_session
from tests.admin.conftest import get, make_result, make_schedule

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is expected of one URL."""

    model: str
    shows: tuple[str, ...] = ()
    """The permissions that open it."""
    acts: tuple[str, ...] = ()
    """The permissions beside those that let a POST change something; empty where nothing may."""
    post_only: bool = False


VIEW = {name: (f"view_{name}",) for name in ("taskdefinition", "periodicschedule", "jobresult")} | {
    "job": ("view_jobresult",),
    "session": ("view_jobresult",),
}
EDIT = ("view_periodicschedule", "add_periodicschedule", "change_periodicschedule", "delete_periodicschedule")
NEVER = ("nobody has this",)
CASES: dict[str, Case] = {
    "taskdefinition_changelist": Case(model="taskdefinition", shows=VIEW["taskdefinition"]),
    "taskdefinition_change": Case(model="taskdefinition", shows=VIEW["taskdefinition"]),
    "taskdefinition_history": Case(model="taskdefinition", shows=VIEW["taskdefinition"]),
    "taskdefinition_add": Case(model="taskdefinition", shows=NEVER),
    "taskdefinition_delete": Case(model="taskdefinition", shows=NEVER),
    "taskdefinition_run": Case(
        model="taskdefinition", shows=(*VIEW["taskdefinition"], "run_task"), acts=("run_task",)
    ),
    "taskdefinition_pause": Case(model="taskdefinition", acts=("pause_queue",), post_only=True),
    "taskdefinition_resume": Case(model="taskdefinition", acts=("pause_queue",), post_only=True),
    "periodicschedule_changelist": Case(
        model="periodicschedule", shows=VIEW["periodicschedule"], acts=("pause_schedule",)
    ),
    "periodicschedule_preview": Case(model="periodicschedule", shows=VIEW["periodicschedule"]),
    "periodicschedule_change": Case(
        model="periodicschedule", shows=VIEW["periodicschedule"], acts=("change_periodicschedule",)
    ),
    "periodicschedule_history": Case(model="periodicschedule", shows=VIEW["periodicschedule"]),
    "periodicschedule_add": Case(
        model="periodicschedule", shows=(*VIEW["periodicschedule"], "add_periodicschedule"),
        acts=("add_periodicschedule",),
    ),
    "periodicschedule_delete": Case(
        model="periodicschedule", shows=(*VIEW["periodicschedule"], "delete_periodicschedule"),
        acts=("delete_periodicschedule",),
    ),
    "periodicschedule_run": Case(model="periodicschedule", acts=("run_task",), post_only=True),
    "periodicschedule_pause": Case(model="periodicschedule", acts=("pause_schedule",), post_only=True),
    "periodicschedule_resume": Case(model="periodicschedule", acts=("pause_schedule",), post_only=True),
    "jobresult_changelist": Case(model="jobresult", shows=VIEW["jobresult"]),
    "jobresult_change": Case(model="jobresult", shows=VIEW["jobresult"]),
    "jobresult_history": Case(model="jobresult", shows=VIEW["jobresult"]),
    "jobresult_add": Case(model="jobresult", shows=NEVER),
    "jobresult_delete": Case(model="jobresult", shows=NEVER),
    "jobresult_retry": Case(model="jobresult", acts=("retry_job",), post_only=True),
    "jobresult_retry_selected": Case(model="jobresult", acts=("retry_job",), post_only=True),
    "job_changelist": Case(model="job", shows=VIEW["job"]),
    "job_change": Case(model="job", shows=VIEW["job"]),
    "job_cancel": Case(model="job", acts=("cancel_job",), post_only=True),
    "job_pause": Case(model="job", acts=("pause_queue",), post_only=True),
    "job_resume": Case(model="job", acts=("pause_queue",), post_only=True),
    "job_purge": Case(model="job", shows=(*VIEW["job"], "purge_queue"), acts=("purge_queue",)),
    "session_changelist": Case(model="session", shows=VIEW["session"]),
    "session_quiet": Case(model="session", acts=("control_worker",), post_only=True),
    "session_resume": Case(model="session", acts=("control_worker",), post_only=True),
    "session_stop": Case(model="session", acts=("control_worker",), post_only=True),
    "job_terminate": Case(model="job", acts=("cancel_job",), post_only=True),
}  # fmt: skip
PREFIX = "django_jobs_"


def resolved() -> Iterator[tuple[str, URLPattern]]:
    """Yield every pattern under django_jobs/ of the admin, with its name."""

    def walk(patterns: list[Any], route: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            here = route + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, here)
            elif here.startswith("django_jobs/"):
                yield here, pattern

    yield from walk(admin.site.get_urls(), "")


def test_every_url_of_the_resolver_has_a_case() -> None:
    found = dict(resolved())
    nameless = [route for route, pattern in found.items() if not pattern.name]
    assert {str(pattern.name).removeprefix(PREFIX) for pattern in found.values() if pattern.name} == set(CASES)
    assert sorted(nameless) == sorted(
        f"django_jobs/{model}/<path:object_id>/" for model in ("taskdefinition", "periodicschedule", "jobresult")
    ), "Django's own redirects to the change page"


@dataclass(slots=True)
class World:
    """One of each thing, and the forms that pages would send."""

    task: TaskDefinition
    plan: PeriodicSchedule
    result: JobResult

    def url(self, name: str) -> str:
        keys: dict[str, Any] = {
            "taskdefinition": self.task.pk, "periodicschedule": self.plan.pk, "jobresult": self.result.pk,
            "job": "live", "session": "session-1",
        }  # fmt: skip
        without = {"changelist", "add", "preview", "selected"}
        takes_key = name.rpartition("_")[2] not in without and name not in {"job_pause", "job_resume", "job_purge"}
        query = "?queue=mail" if name == "job_purge" else ""
        return reverse(f"admin:{PREFIX}{name}", args=[keys[CASES[name].model]] if takes_key else []) + query

    def form(self, name: str, client: Client) -> dict[str, Any]:
        """Return what a person with all permissions would post."""
        schedule = {
            "name": "new", "task": "admin_tests.ship", "args": "[2]", "kwargs": "{}", "crontab": "0 1 * * *",
            "day_rule": "or", "interval_seconds_0": "", "interval_seconds_1": "minutes",
        }  # fmt: skip
        seen = retrying.seen_of(self.result)
        forms: dict[str, dict[str, Any]] = {
            "taskdefinition_run": {"call-order": "7", once.FIELD: self._token(client, f"task {self.task.pk}")},
            "periodicschedule_run": {once.FIELD: self._token(client, f"schedule {self.plan.pk}")},
            "periodicschedule_add": schedule,
            "periodicschedule_change": {**schedule, "name": self.plan.name},
            "periodicschedule_changelist": {"action": "pause_selected", "index": 0, "_selected_action": self.plan.pk},
            "periodicschedule_delete": {"post": "yes"},
            "jobresult_retry": {retrying.SEEN: seen},
            "jobresult_retry_selected": {retrying.SEEN: seen},
            "jobresult_changelist": {"action": "retry_selected", "index": 0, "_selected_action": self.result.pk},
            "jobresult_change": {"queue": "x"},
            "jobresult_delete": {"post": "yes"},
            "taskdefinition_change": {"queue": "x"},
            "job_pause": {"queue": "mail", "reason": "later"},
            "job_resume": {"queue": "mail"},
            "taskdefinition_delete": {"post": "yes"},
        }
        return forms.get(name, {})

    def _token(self, client: Client, purpose: str) -> str:
        from django.test import RequestFactory

        request = RequestFactory().get("/")
        request.user = type("Someone", (), {"pk": client.session.get("_auth_user_id")})()
        return once.make_token(request, purpose)

    def state(self) -> tuple[Any, ...]:
        """Return all that an action could change."""
        views = [(view.id, view.task, view.cancel_requested) for view in connections.broker.list()]
        tables = [
            list(model.objects.order_by("pk").values()) for model in (TaskDefinition, PeriodicSchedule, JobResult)
        ]
        pauses, orders = connections.broker.paused(), len(connections.broker.orders_of("session-1", after=0))
        return sorted(views, key=lambda view: view[1]), tables, (pauses, orders), LogEntry.objects.count()


@pytest.fixture
def world(tasks: dict[str, TaskDefinition]) -> World:
    connections.broker.enqueue_many([Message(id="live", task="shop.jobs.send", queue="mail", body=encode_body((), {}))])
    connections.broker.open_session(make_session())
    return World(task=tasks["ship"], plan=make_schedule(), result=make_result())


ALL_VIEWS = ("view_taskdefinition", "view_periodicschedule", "view_jobresult")


@pytest.mark.parametrize("name", CASES)
def test_anonymous_people_are_sent_to_the_login(client: Client, world: World, name: str) -> None:
    before = world.state()
    for answer in (client.get(world.url(name)), client.post(world.url(name), world.form(name, client))):
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]
    assert world.state() == before


@pytest.mark.parametrize("name", CASES)
def test_staff_without_any_permission_are_refused(world: World, staff: Callable[..., Client], name: str) -> None:
    client = staff(sees=())
    before = world.state()
    assert client.get(world.url(name)).status_code == (405 if CASES[name].post_only else 403)
    assert client.post(world.url(name), world.form(name, client)).status_code == 403
    assert world.state() == before


@pytest.mark.parametrize("name", CASES)
def test_staff_who_may_only_look_change_nothing(world: World, staff: Callable[..., Client], name: str) -> None:
    client, case = staff(), CASES[name]
    before = world.state()
    expected = 405 if case.post_only else 200 if set(case.shows) <= set(ALL_VIEWS) else 403
    assert client.get(world.url(name)).status_code == expected
    answer = client.post(world.url(name), world.form(name, client))
    assert answer.status_code == 403 or not case.acts or name.endswith("_changelist")
    assert world.state() == before


@pytest.mark.parametrize("name", CASES)
def test_another_permission_than_the_needed_one_is_none(world: World, staff: Callable[..., Client], name: str) -> None:
    case = CASES[name]
    every = {
        "run_task",
        "retry_job",
        "cancel_job",
        "pause_schedule",
        "pause_queue",
        "purge_queue",
        "control_worker",
        *EDIT,
    }
    client = staff(*(every - set(case.acts)))
    before = world.state()
    client.get(world.url(name))
    client.post(world.url(name), world.form(name, client))
    assert world.state() == before


ACTING = [name for name, case in CASES.items() if case.acts and not name.endswith("_resume")]


@pytest.mark.parametrize("name", ACTING)
def test_staff_with_the_permission_act_and_it_is_logged_once(
    world: World, staff: Callable[..., Client], name: str
) -> None:
    client = staff(*CASES[name].acts)
    before = world.state()
    answer = client.post(world.url(name), world.form(name, client), follow=True)
    assert answer.status_code == 200
    assert [str(message) for message in answer.context["messages"]], "it says what happened"
    assert world.state() != before
    assert LogEntry.objects.count() == 1


def test_a_paused_schedule_is_resumed_with_the_permission(world: World, staff: Callable[..., Client]) -> None:
    PeriodicSchedule.objects.pause()
    client = staff("pause_schedule")
    client.post(world.url("periodicschedule_resume"))
    assert not PeriodicSchedule.objects.get().paused
    assert LogEntry.objects.get().change_message == "Resumed."


@pytest.mark.parametrize("name", CASES)
def test_a_superuser_sees_all_and_a_get_changes_nothing(admin_client: Client, world: World, name: str) -> None:
    before = world.state()
    expected = 405 if CASES[name].post_only else 403 if CASES[name].shows == NEVER else 200
    assert admin_client.get(world.url(name)).status_code == expected
    admin_client.get(world.url(name), world.form(name, admin_client))
    assert world.state() == before


@pytest.mark.parametrize("name", ACTING)
def test_a_superuser_acts(admin_client: Client, world: World, name: str) -> None:
    before = world.state()
    assert admin_client.post(world.url(name), world.form(name, admin_client), follow=True).status_code == 200
    assert world.state() != before


@pytest.mark.parametrize("name", ACTING)
def test_a_post_without_the_token_against_forgery_is_refused(world: World, admin_user: Any, name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    before = world.state()
    assert client.post(world.url(name), world.form(name, client)).status_code == 403
    assert world.state() == before


BUTTONS = [
    ("taskdefinition_change", "run_task", "taskdefinition_run"),
    ("periodicschedule_change", "run_task", "periodicschedule_run"),
    ("periodicschedule_change", "pause_schedule", "periodicschedule_pause"),
    ("jobresult_change", "retry_job", "jobresult_retry"),
    ("job_change", "cancel_job", "job_cancel"),
    ("job_changelist", "cancel_job", "job_cancel"),
    ("job_changelist", "pause_queue", "job_pause"),
    ("job_changelist", "purge_queue", "job_purge"),
    ("taskdefinition_change", "pause_queue", "taskdefinition_pause"),
    ("session_changelist", "control_worker", "session_quiet"),
    ("session_changelist", "control_worker", "session_stop"),
]


@pytest.mark.parametrize(("page", "permission", "action"), BUTTONS)
def test_a_button_is_there_for_those_who_may_only(
    world: World, staff: Callable[..., Client], page: str, permission: str, action: str
) -> None:
    assert f'"{world.url(action)}"' in get(staff(permission), world.url(page))
    assert world.url(action) not in get(staff(), world.url(page))


@pytest.mark.parametrize(
    ("page", "permission", "action"),
    [
        ("jobresult_changelist", "retry_job", "retry_selected"),
        ("periodicschedule_changelist", "pause_schedule", "pause_selected"),
        ("periodicschedule_changelist", "pause_schedule", "resume_selected"),
    ],
)
def test_an_action_of_a_list_is_offered_to_those_who_may_only(
    world: World, staff: Callable[..., Client], page: str, permission: str, action: str
) -> None:
    assert f'value="{action}"' in get(staff(permission), world.url(page))
    assert f'value="{action}"' not in get(staff(), world.url(page))
