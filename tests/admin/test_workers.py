"""The Workers page: what it shows of each life of a worker, and what an order from it leaves for the worker."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from django_jobs.connections import connections
from django_jobs.core.session import SessionState
from django_jobs.testing.child import make_session
from tests.admin.conftest import get, messages_of

pytestmark = pytest.mark.django_db
DETAILS = json.dumps(
    {"slots": "3 processes", "autoscale": [1, 8], "queues": {"mail": 1}, "children": [{"running": 2}, {"running": 1}]}
)


def url(name: str, *args: str) -> str:
    return reverse(f"admin:django_jobs_session_{name}", args=args)


def test_each_worker_is_shown_with_what_it_is_and_does(viewer: Client) -> None:
    connections.broker.open_session(make_session(worker="web-<1>", details=DETAILS))

    page = get(viewer, url("changelist"))

    for text in ("web-&lt;1&gt;", "3 processes", "1 to 8", "mail", "alive", "<td>3</td>"):
        assert text in page
    assert "formaction" not in page


def test_a_quiet_worker_can_resume_and_a_dead_one_nothing(staff: Callable[..., Client]) -> None:
    client = staff("control_worker")
    connections.broker.open_session(make_session("quiet-one"))
    connections.broker.renew(make_session("quiet-one", state=SessionState.QUIET))
    connections.broker.open_session(make_session("dead-one"))
    connections.broker.close_session("dead-one")

    page = get(client, url("changelist"))

    assert url("resume", "quiet-one") in page
    assert url("quiet", "quiet-one") not in page
    assert "/dead-one/" not in page
    answer = client.post(url("stop", "dead-one"), follow=True)
    assert "does not live any more" in messages_of(answer)


def test_an_order_is_left_for_the_worker(staff: Callable[..., Client]) -> None:
    connections.broker.open_session(make_session("one", worker="web-1"))

    answer = staff("control_worker").post(url("quiet", "one"), follow=True)

    assert "web-1 has the order" in messages_of(answer)
    assert [standing.order.verb for standing in connections.broker.orders_of("one", after=0)] == ["quiet"]


def test_without_workers_it_says_how_to_start_one(viewer: Client) -> None:
    assert "manage.py runworker" in get(viewer, url("changelist"))
