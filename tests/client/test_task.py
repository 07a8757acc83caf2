"""Tasks: calling, enqueueing, binding options, and what travels when one is pickled."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_jobs import (
    AsyncResult,
    InvalidArguments,
    InvalidOption,
    PayloadTooLarge,
    Retry,
    SerializationError,
    Task,
    TaskNotRegistered,
    enqueue,
    job,
)
from django_jobs.core.message import decode_body
from django_jobs.core.outcome import JobView
from django_jobs.execution.context import Request, reset_current, set_current
from tests.client.conftest import Declare, Stores


@job
def add(left: int, right: int = 10) -> int:
    return left + right


@job
async def add_later(left: int, right: int = 10) -> int:
    return left + right


@job(bind=True, queue="mail", priority=5)
def about(self: Task[..., Any], value: int) -> tuple[str, bool, int]:
    return self.request.id, self.request.called_directly, value


def only(stores: Stores) -> JobView:
    (view,) = stores.broker.list()
    return view


def call_of(view: JobView) -> tuple[tuple[Any, ...], dict[str, Any]]:
    body = decode_body(view.body)
    return body.args, body.kwargs


# -- here ------------------------------------------------------------------------------------------------------


def test_calling_a_task_runs_the_function_here(stores: Stores) -> None:
    assert add(1, right=2) == 3
    assert asyncio.run(add_later(1, 2)) == 3
    assert about(7) == ("", True, 7)
    assert stores.broker.list() == []


def test_retry_outside_of_a_job_raises_the_error_itself(declare: Declare) -> None:
    def tries(self: Task[..., Any], given: bool) -> None:
        try:
            raise KeyError("from the body")
        except KeyError:
            self.retry(exc=ValueError("given") if given else None)

    task = declare(tries, bind=True)
    with pytest.raises(ValueError, match="given"):
        task(True)
    with pytest.raises(KeyError, match="from the body"):
        task(False)


def test_retry_outside_of_a_job_without_any_error_is_a_retry(declare: Declare) -> None:
    task = declare(lambda self: self.retry(), name="tests.asks", bind=True)
    with pytest.raises(Retry):
        task()


def test_retry_inside_a_job_of_the_task_carries_error_and_delay(declare: Declare) -> None:
    def tries(self: Task[..., Any]) -> None:
        self.retry(exc=ValueError("given"), countdown=timedelta(seconds=5), max_retries=None)

    task = declare(tries, bind=True)
    token = set_current(Request(id="x", task=task.name))
    try:
        with pytest.raises(Retry) as caught:
            task()
    finally:
        reset_current(token)
    assert isinstance(caught.value.error, ValueError)
    assert (caught.value.countdown, caught.value.forever) == (5.0, True)


def test_retry_refuses_two_starts(declare: Declare) -> None:
    task = declare(lambda self: self.retry(countdown=1, eta=datetime.now(UTC)), name="tests.both", bind=True)
    with pytest.raises(InvalidOption, match="both countdown and eta"):
        task()


def test_a_task_called_inside_another_tasks_job_is_called_directly() -> None:
    token = set_current(Request(id="other", task="tests.other"))
    try:
        assert about(1) == ("", True, 1)
    finally:
        reset_current(token)


# -- elsewhere -------------------------------------------------------------------------------------------------


def test_delay_enqueues_the_call(stores: Stores) -> None:
    result = add.delay(1, right=2)
    view = only(stores)
    assert isinstance(result, AsyncResult)
    assert (view.id, view.task, view.queue, view.priority) == (result.id, add.name, "default", 0)
    assert call_of(view) == ((1,), {"right": 2})


def test_a_tasks_options_go_with_each_job(stores: Stores) -> None:
    about.delay(1)
    assert (only(stores).queue, only(stores).priority) == ("mail", 5)


@override_settings(DJANGO_JOBS={"DEFAULT_QUEUE": "slow", "TASK_DEFAULTS": {"priority": 9}})
def test_settings_stand_behind_the_tasks_options(stores: Stores) -> None:
    from django_jobs.connections import connections

    connections.use(stores.broker, stores.results)
    add.delay(1)
    about.delay(1)
    assert sorted((view.queue, view.priority) for view in stores.broker.list()) == [("mail", 5), ("slow", 9)]


def test_changed_settings_are_seen_by_the_next_call(stores: Stores) -> None:
    from django_jobs.connections import connections

    add.delay(1)
    with override_settings(DJANGO_JOBS={"DEFAULT_QUEUE": "slow"}):
        connections.use(stores.broker, stores.results)
        add.delay(1)
    assert sorted(view.queue for view in stores.broker.list()) == ["default", "slow"]


def test_apply_async_takes_args_kwargs_and_options(stores: Stores) -> None:
    result = add.apply_async((1,), {"right": 2}, queue="fast", priority=3, task_id="mine", max_retries=0)
    view = only(stores)
    assert (result.id, view.id, view.queue, view.priority) == ("mine", "mine", "fast", 3)
    assert decode_body(view.body).options == {"max_retries": 0}


def test_the_same_given_id_is_the_same_job(stores: Stores) -> None:
    first = add.apply_async((1,), task_id="mine")
    second = add.apply_async((2,), task_id="mine")
    assert first == second
    assert call_of(only(stores)) == ((1,), {})


loose: Any = add
loose_about: Any = about


@pytest.mark.parametrize(
    "call",
    [
        loose.delay,
        lambda: loose.delay(1, 2, 3),
        lambda: loose.delay(1, rigth=2),
        lambda: loose.apply_async((1, 2, 3)),
        lambda: loose.apply_async("12"),
        lambda: loose.apply_async(5),
        lambda: loose.apply_async((1,), [2]),
        lambda: loose.apply(()),
        lambda: loose_about.delay(object(), 1),
        lambda: enqueue(add.name, 1, 2, 3),
        lambda: loose.delay_many([((1,), {}), ((), {})]),
        lambda: loose.delay_many([(1,)]),
        lambda: loose.delay_many([5]),
        lambda: asyncio.run(loose.adelay()),
    ],
)
def test_wrong_arguments_are_refused_in_the_caller(stores: Stores, call: Callable[[], Any]) -> None:
    with pytest.raises(InvalidArguments, match="Nothing was enqueued") as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert stores.broker.list() == []


def test_what_cannot_travel_is_refused_in_the_caller(stores: Stores) -> None:
    anything: Any = object()
    for call in (add.delay, add.enqueue):
        with pytest.raises(SerializationError, match=r"args\[0\]"):
            call(anything)
    with pytest.raises(SerializationError, match=r"Call 1 of delay_many: kwargs\.right"):
        add.delay_many([((1,), {}), ((1,), {"right": anything})])
    with pytest.raises(PayloadTooLarge, match=r"args\[0\]"):
        enqueue(add.name, "x" * 300_000)
    with pytest.raises(InvalidOption, match="contdown"):
        add.apply_async((1,), contdown=3)  # type: ignore[call-arg]  # that is the point
    assert stores.broker.list() == []


def test_a_huge_argument_is_refused_quickly(stores: Stores) -> None:
    anything: Any = "x" * 50_000_000
    began = time.perf_counter()
    with pytest.raises(PayloadTooLarge):
        add.delay(anything)
    assert time.perf_counter() - began < 5


def test_async_callers_have_twins(stores: Stores) -> None:
    async def scenario() -> list[AsyncResult[int]]:
        return [
            await add.adelay(1),
            await add.aapply_async((1,), {"right": 2}, queue="fast"),
            await add_later.aenqueue(3),
        ]

    results = asyncio.run(scenario())
    assert {result.id for result in results} == {view.id for view in stores.broker.list()}


def test_delay_many_keeps_the_order(stores: Stores) -> None:
    results = add.using(queue="bulk").delay_many(((number,), {"right": 1}) for number in range(1500))
    views = stores.broker.list(queue="bulk", limit=2000)
    assert len(results) == len(views) == 1500
    assert [stores.claim("bulk").message.id for _ in range(3)] == [result.id for result in results[:3]]
    assert add.delay_many([]) == []


def test_enqueue_by_name(stores: Stores) -> None:
    result = enqueue(add.name, 1, right=2)
    assert (only(stores).id, call_of(only(stores))) == (result.id, ((1,), {"right": 2}))


def test_enqueue_of_a_name_that_nobody_registered(stores: Stores) -> None:
    with pytest.raises(TaskNotRegistered, match=r"Did you mean .*tests\.client\.test_task\.add") as caught:
        enqueue("tests.client.test_task.ad", 1)
    assert isinstance(caught.value, LookupError)
    assert stores.broker.list() == []


def test_enqueue_leaves_the_name_name_to_the_function(stores: Stores, declare: Declare) -> None:
    task = declare(lambda name: name, name="tests.named")
    enqueue(task.name, name="x")
    assert call_of(only(stores)) == ((), {"name": "x"})


# -- options bound to a task -----------------------------------------------------------------------------------


def test_using_binds_options_to_a_copy(stores: Stores) -> None:
    urgent = add.using(priority=50, countdown=5)
    urgent.delay(1)
    view = only(stores)
    assert (view.priority, view.due_us is not None) == (50, True)
    assert repr(urgent) == "<FunctionTask tests.client.test_task.add priority=50 countdown=5>"
    assert urgent(1) == 11
    add.delay(1)
    assert sorted(view.priority for view in stores.broker.list()) == [0, 50]


def test_a_call_overrides_what_is_bound(stores: Stores) -> None:
    add.using(queue="a", priority=1).using(queue="b").apply_async((1,), priority=2)
    assert (only(stores).queue, only(stores).priority) == ("b", 2)


def test_using_refuses_unknown_options_at_once() -> None:
    with pytest.raises(InvalidOption, match="using has no option 'que'"):
        add.using(que="x")  # type: ignore[call-arg]  # that is the point


def test_tasks_are_pickled_and_copied_by_name() -> None:
    assert pickle.loads(pickle.dumps(add)) is add
    assert copy.deepcopy({"task": add})["task"] is add
    assert copy.copy(add) is add
    bound = pickle.loads(pickle.dumps(add.using(queue="x")))
    assert (bound.name, repr(bound)) == (add.name, "<FunctionTask tests.client.test_task.add queue='x'>")
    assert b"left" not in pickle.dumps(add)


# -- cost ------------------------------------------------------------------------------------------------------


def test_an_enqueue_takes_few_calls_before_the_broker(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured at 41 calls and 5.5 us; the calls are counted, since they are the same on a busy machine.

    Python 3.11 calls comprehensions too, and makes 51.
    """
    monkeypatch.setattr(stores.broker, "enqueue_many", lambda messages: [True])
    add.delay(1)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(event) if event in {"call", "c_call"} else None)
    try:
        add.delay(1)
    finally:
        sys.setprofile(None)
    assert 10 < len(calls) <= (50 if sys.version_info >= (3, 12) else 60)
