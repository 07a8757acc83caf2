"""What the Jobs page says of jobs that a limit holds back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_jobs.connections import connections
from django_jobs.core.bounds import Bounds, Limit
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.message import Message, encode_body
from tests.admin.conftest import get

pytestmark = pytest.mark.django_db


def test_a_job_that_a_limit_holds_back_says_so(admin_client: Client) -> None:
    bounds = Bounds(limit=Limit(key="shop.jobs.send", slots=1))
    body = encode_body((1,), {}, bounds=bounds)
    order: dict[str, Any] = {"task": "shop.jobs.send", "queue": "mail", "body": body, "bounds": bounds}
    messages = [Message(id=job_id, **order) for job_id in ("1-job", "2-job")]
    connections.broker.enqueue_many(messages)
    want = Want(name=ClaimName("session", 1, 1), queues=("mail",), limit=2)
    [claim] = connections.broker.exchange((), want).claims

    page = get(admin_client, reverse("admin:django_jobs_job_changelist"), state="parked")

    [held_back] = {"1-job", "2-job"} - {claim.message.id}
    assert held_back in page
    assert claim.message.id not in page
    assert "its limit has no room" in page
    assert "no worker knows its task" not in page
