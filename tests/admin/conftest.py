"""Users, rows and jobs for the admin's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from django_jobs import job
from django_jobs.apps import sync_definitions
from django_jobs.core.attempts import AttemptRecord, append
from django_jobs.core.message import encode_body
from django_jobs.core.serializer import to_plain
from django_jobs.models import JobResult, PeriodicSchedule, TaskDefinition
from django_jobs.registry import registry

INSTANT = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOW = INSTANT if settings.USE_TZ else INSTANT.replace(tzinfo=None)
VIEWS = ("view_jobresult", "view_taskdefinition", "view_periodicschedule")
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/jobs.py", line 12, in send
    post(order)
        ^^^^^^^
  File "/srv/venv/lib/python3.12/site-packages/requests/api.py", line 115, in post
    return request("post", url)
  File "/usr/lib/python3.12/socket.py", line 707, in readinto
    return self._sock.recv_into(b)
TimeoutError: timed out
"""


def make_result(job_id: str = "job-1", **fields: Any) -> JobResult:
    values: dict[str, Any] = {
        "id": job_id,
        "task": "shop.jobs.send",
        "queue": "mail",
        "priority": 0,
        "status": "failed",
        "body": encode_body(
            to_plain((1, INSTANT), "args"), {"name": "Ada"}, headers={"tenant": "acme"}, parent_id="p-1"
        ),
        "id_given": False,
        "error_class": "shop.errors.Sold",
        "error_message": "the bank is closed",
        "traceback": TRACEBACK,
        "attempts": append(
            "",
            AttemptRecord(
                attempt=1, cause="failure", error_class="KeyError", message="'x'", ended_us=1_900_000_000_000_000
            ),
        ),
        "attempt": 2,
        "failures": 2,
        "crashes": 0,
        "enqueued_at": NOW,
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=1.5),
        "worker": "host.1",
    }
    return JobResult.objects.create(**{**values, **fields})


def make_definition(name: str = "shop.jobs.send", **fields: Any) -> TaskDefinition:
    values = {"name": name, "queue": "mail", "doc": "Send it.", "signature": "(a: int = <object>)"}
    return TaskDefinition.objects.create(**{**values, "first_seen_at": NOW, "last_seen_at": NOW, **fields})


def make_schedule(name: str = "nightly", **fields: Any) -> PeriodicSchedule:
    values = {"name": name, "task": "admin_tests.ship", "crontab": "30 7 * * 1", "args": "[1]"}
    return PeriodicSchedule.objects.create(**{**values, **fields})


def ship(
    order: int,
    weight: float = 2.5,
    address: str = "Main Street",
    express: bool = True,
    when: date | None = None,
    parts: dict[str, int] | None = None,
) -> str:
    """Ship an order."""
    return f"{order} {weight} {address} {express} {when} {parts}"


def secret(order: int) -> str:
    """Run by code only."""
    return str(order)


@pytest.fixture
def tasks() -> Iterator[dict[str, TaskDefinition]]:
    """Register two tasks, of which people may run `ship`; give their rows."""
    job(name="admin_tests.ship", admin_runnable=True, queue="parcels")(ship)
    job(name="admin_tests.secret")(secret)
    sync_definitions()
    try:
        yield {
            row.name.rpartition(".")[2]: row for row in TaskDefinition.objects.filter(name__startswith="admin_tests")
        }
    finally:
        registry.unregister("admin_tests.ship")
        registry.unregister("admin_tests.secret")


@pytest.fixture
def staff() -> Callable[..., Client]:
    """Give a function that makes a browser of somebody who may see all of ours, and what is named."""

    def make(*permissions: str, sees: tuple[str, ...] = VIEWS) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=[*sees, *permissions]))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def viewer(staff: Callable[..., Client]) -> Client:
    """Give a browser of somebody who may see all of ours, and change nothing."""
    return staff()


def get(client: Client, url: str, **query: str) -> str:
    response = client.get(url, query)
    assert response.status_code == 200, response
    return response.content.decode()


def messages_of(response: Any) -> str:
    """Return what the page after a redirect says."""
    return " ".join(str(message) for message in response.context["messages"])


def today() -> date:
    return timezone.localdate() if settings.USE_TZ else datetime.now().date()  # noqa: DTZ005  as USE_TZ=False has it
