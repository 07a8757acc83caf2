"""Which connections are seen to around a job: those that the project opened in this thread, and no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.execution import hygiene

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

CLAIM = Claim(message=Message(id="job-1", task="t", queue="q", body="{}"), name=ClaimName("s", 1, 2), attempt=1)


@pytest.fixture
def wrapper(database_alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Give a wrapper that is not connected, of connections that are closed at the end of a job."""
    made = connections[database_alias]
    made.close()
    assert made.settings_dict["CONN_MAX_AGE"] == 0
    yield made
    made.close()


def run_job(*opens: BaseDatabaseWrapper) -> None:
    inside = hygiene.before_job()
    for connection in opens:
        connection.ensure_connection()
    hygiene.after_job(inside, CLAIM)


def test_what_a_job_opens_is_closed_after_it_each_time(wrapper: BaseDatabaseWrapper) -> None:
    for _ in range(2):
        run_job(wrapper)

        assert wrapper.connection is None


def test_what_may_stay_open_is_looked_at_around_each_later_job(wrapper: BaseDatabaseWrapper) -> None:
    run_job(wrapper)
    wrapper.settings_dict["CONN_MAX_AGE"] = 60
    try:
        run_job(wrapper)
        assert wrapper.connection is not None
        wrapper.close_at = 0.0

        hygiene.before_job()

        assert wrapper.connection is None
    finally:
        wrapper.settings_dict["CONN_MAX_AGE"] = 0


def test_what_was_open_before_the_first_job_of_a_thread_is_seen_to(wrapper: BaseDatabaseWrapper) -> None:
    seen: list[bool] = []

    def work() -> None:
        own = connections[wrapper.alias]
        own.ensure_connection()
        run_job()
        seen.append(own.connection is None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [True]


def test_a_copy_as_our_own_stores_have_is_left_alone(wrapper: BaseDatabaseWrapper) -> None:
    run_job()
    copy = wrapper.copy()
    try:
        run_job(copy)
        run_job()

        assert copy.connection is not None
    finally:
        copy.close()


def test_queries_of_a_job_are_forgotten_with_its_connection(wrapper: BaseDatabaseWrapper) -> None:
    wrapper.force_debug_cursor = True
    inside = hygiene.before_job()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert wrapper.queries

    hygiene.after_job(inside, CLAIM)

    assert wrapper.queries == []
