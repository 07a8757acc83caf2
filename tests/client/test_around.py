"""Context that travels with a job, and what the project puts around every run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils import timezone, translation

from django_jobs import State, checks, current_job
from django_jobs.connections import connections
from django_jobs.core.message import decode_body
from django_jobs.execution.around import around_jobs
from django_jobs.execution.context import Request
from django_jobs.testing import run_jobs
from tests.client.conftest import Declare

pytestmark = pytest.mark.django_db

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
seen: list[Any] = []


class Shouting:
    """A carrier of a project's own."""

    def capture(self) -> str | None:
        return tenant.get()

    @contextmanager
    def restore(self, value: str) -> Iterator[None]:
        token = tenant.set(value.upper())
        try:
            yield
        finally:
            tenant.reset(token)


@contextmanager
def noting(job: Request) -> Iterator[None]:
    seen.append(("in", job.id, current_job() is job))
    try:
        yield
    finally:
        seen.append(("out", job.id))


@asynccontextmanager
async def noting_later(job: Request) -> AsyncIterator[None]:
    seen.append("async in")
    yield
    seen.append("async out")


def refusing(job: Request) -> None:
    raise PermissionError("closed")


@contextmanager
def forgiving(job: Request) -> Iterator[None]:
    with suppress(ValueError):
        yield


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    seen.clear()
    yield
    connections.reset()


def where() -> list[Any]:
    return [translation.get_language(), timezone.get_current_timezone_name(), tenant.get()]


async def where_later() -> list[Any]:
    return where()


CARRY = ["language", "time_zone", f"{__name__}.tenant"]


@override_settings(DJANGO_JOBS={"CARRY": CARRY})
@pytest.mark.parametrize("function", [where, where_later])
def test_a_job_runs_in_the_context_of_its_caller_and_leaves_none(declare: Declare, function: Any) -> None:
    outside = where()
    task = declare(function)
    token = tenant.set("shop-7")
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        message = task._message((), {}, task._terms(None, (), {}))
    tenant.reset(token)

    assert decode_body(message.body).headers == {
        "_context": {"language": "de", "time_zone": "Asia/Tokyo", f"{__name__}.tenant": "shop-7"}
    }
    connections.broker.enqueue_many([message])
    run_jobs()
    assert connections.results.load_many([message.id])[message.id].result == '["de","Asia/Tokyo","shop-7"]'
    assert where() == outside


@override_settings(DJANGO_JOBS={"CARRY": CARRY})
def test_nothing_is_carried_where_nothing_is_set(declare: Declare) -> None:
    task = declare(where)
    message = task._message((), {}, task._terms(None, (), {}))
    assert decode_body(message.body).headers == {}


def test_without_the_setting_nothing_is_carried(declare: Declare) -> None:
    task = declare(where)
    with translation.override("de"):
        assert decode_body(task._message((), {}, task._terms(None, (), {})).body).headers == {}


@override_settings(DJANGO_JOBS={"CARRY": [f"{__name__}.Shouting"]})
def test_a_carrier_of_the_projects_own_is_used_and_the_job_does_not_see_it_among_its_headers(declare: Declare) -> None:
    def function() -> list[Any]:
        job = current_job()
        assert job is not None
        return [tenant.get(), dict(job.headers)]

    token = tenant.set("quiet")
    try:
        message = (task := declare(function))._message((), {}, task._terms({"headers": {"own": 1}}, (), {}))
    finally:
        tenant.reset(token)
    connections.broker.enqueue_many([message])
    run_jobs()
    assert connections.results.load_many([message.id])[message.id].result == '["QUIET",{"own":1}]'


@override_settings(DJANGO_JOBS={"MIDDLEWARE": [f"{__name__}.noting"]})
def test_middleware_is_entered_around_each_run(declare: Declare) -> None:
    def fails() -> None:
        seen.append("run")
        raise ValueError

    result = declare(fails, retry_on=(ValueError,), max_retries=1).apply()

    run = [("in", result.id, True), "run", ("out", result.id)]
    assert seen == run * 2
    assert result.failed()


@override_settings(DJANGO_JOBS={"MIDDLEWARE": [f"{__name__}.noting"]})
def test_plain_middleware_is_entered_around_coroutines(declare: Declare) -> None:
    result = declare(where_later).apply()
    assert seen == [("in", result.id, True), ("out", result.id)]


@override_settings(DJANGO_JOBS={"MIDDLEWARE": [f"{__name__}.refusing"]})
def test_middleware_that_raises_fails_the_job(declare: Declare) -> None:
    result = declare(where).apply()
    assert (result.status, type(result.error)) == (State.FAILED, PermissionError)


@override_settings(DJANGO_JOBS={"MIDDLEWARE": [f"{__name__}.forgiving"]})
def test_middleware_that_swallows_an_error_makes_a_success_of_it(declare: Declare) -> None:
    def fails() -> None:
        raise ValueError

    result = declare(fails).apply()
    assert (result.status, result.result) == (State.SUCCEEDED, None)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"MIDDLEWARE": ["shop.nowhere.timing"]}, "cannot be loaded"),
        ({"MIDDLEWARE": [f"{__name__}.CARRY"]}, "cannot be called"),
        ({"CARRY": [f"{__name__}.seen"]}, "capture"),
        ({"CARRY": ["colour"]}, "cannot be loaded"),
    ],
)
def test_what_cannot_be_used_is_told_by_a_check(given: dict[str, Any], text: str) -> None:
    with override_settings(DJANGO_JOBS=given):
        [message] = checks.check_settings(None)
        assert message.id == "django_jobs.E012"
        assert text in message.msg
        with pytest.raises(ImproperlyConfigured):
            around_jobs(connections.policy)


@override_settings(DJANGO_JOBS={"MIDDLEWARE": "shop.middleware.timing"})
def test_a_text_in_the_place_of_a_list_is_told() -> None:
    [message] = checks.check_settings(None)
    assert "list of dotted names" in message.msg
