"""The button that ends a job which runs."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_jobs.connections import connections
from tests.admin.conftest import get
from tests.admin.test_actions import claim, enqueue, send, url

pytestmark = pytest.mark.django_db


def test_a_running_job_is_terminated_even_after_its_cancel_was_asked_for(admin_client: Client) -> None:
    enqueue("live")
    page = url("job", "terminate", "live")
    assert page not in get(admin_client, url("job", "change", "live"))  # it waits
    claim("mail")
    send(admin_client, url("job", "cancel", "live"))

    assert page in get(admin_client, url("job", "change", "live"))
    assert "ends it within seconds" in send(admin_client, page)

    assert connections.broker.cancels_of(["live"]) == {"live": True}
    assert LogEntry.objects.latest("pk").change_message == "Cancel and terminate: requested."


def test_a_job_that_waits_after_all_never_starts(admin_client: Client) -> None:
    enqueue("live")
    assert send(admin_client, url("job", "terminate", "live")) == "The job is cancelled: it will not start."
    assert connections.broker.list() == []
