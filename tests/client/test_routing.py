"""Who decides about a job's queue, priority and expiry."""

from __future__ import annotations

from typing import Any

import pytest

from django_jobs import InvalidOption, Task, enqueue
from django_jobs.core.outcome import JobView
from tests.client.conftest import Declare, Stores


@pytest.fixture
def configure(settings: Any, stores: Stores) -> Any:
    def change(**values: Any) -> None:
        settings.DJANGO_JOBS = values
        from django_jobs.connections import connections

        connections.use(stores.broker, stores.results)

    return change


def only(stores: Stores) -> JobView:
    (view,) = stores.broker.list()
    return view


def noop(number: int = 0) -> None: ...


def by_number(name: str, args: Any, kwargs: Any, options: Any) -> Any:
    if args and args[0] < 0:
        raise ValueError("below zero")
    return {"queue": f"{name.rpartition('.')[2]}-{args[0]}"} if args else None


def test_a_route_decides_where_nobody_else_does(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(ROUTES={"tests.*": {"queue": "routed", "priority": 7, "expires": 60}}, TASK_DEFAULTS={"queue": "all"})

    declare(noop).delay()

    view = only(stores)
    assert (view.queue, view.priority) == ("routed", 7)
    assert view.expires_us is not None
    assert view.expires_us - view.enqueued_us == 60_000_000


@pytest.mark.parametrize(
    ("declared", "called", "expected"),
    [
        ({"queue": "own"}, {}, "own"),
        ({"queue": "own"}, {"queue": "call"}, "call"),
        ({}, {"queue": "call"}, "call"),
        ({}, {"queue": None}, "routed"),
        ({"priority": 1}, {}, "routed"),
    ],
)
def test_the_code_and_the_call_go_before(
    configure: Any, declare: Declare, stores: Stores, declared: Any, called: Any, expected: str
) -> None:
    configure(ROUTES={"*": "routed"})

    declare(noop, **declared).apply_async((), **called)
    assert only(stores).queue == expected


def test_a_bound_queue_is_a_call_s(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(ROUTES={"*": "routed"})

    declare(noop).using(queue="bound").delay()
    assert only(stores).queue == "bound"


def test_a_queue_has_defaults_for_its_jobs(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(QUEUES={"mail": {"priority": 9, "expires": 30}}, TASK_DEFAULTS={"priority": -1})
    task, own = declare(noop), declare(noop, name="tests.own", priority=2)

    def enqueued(result: Any) -> tuple[int, bool]:
        view = stores.broker.state_of([result.id])[result.id]
        return view.priority, view.expires_us is not None

    assert enqueued(task.using(queue="mail").delay()) == (9, True)
    assert enqueued(task.apply_async((), queue="mail", priority=0, expires=1)) == (0, True)
    assert enqueued(own.using(queue="mail").delay()) == (2, True)
    assert enqueued(task.delay()) == (-1, False)


def test_a_route_s_priority_goes_before_its_queue_s(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(QUEUES={"mail": {"priority": 9}}, ROUTES={"*": {"queue": "mail", "priority": 4}})

    declare(noop).delay()
    assert only(stores).priority == 4


def test_a_function_is_asked_at_each_call(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(ROUTES=[f"{__name__}.by_number", {"*": "rest"}])
    task: Task[..., Any] = declare(noop)

    task.delay(1)
    task.delay(2)
    task.apply_async((3,), priority=1)
    task.delay()
    task.delay_many([((4,), {}), ((5,), {})])
    enqueue(task.name, 6)

    assert sorted(view.queue for view in stores.broker.list()) == [*(f"noop-{n}" for n in range(1, 7)), "rest"]


def test_a_function_that_raises_stops_the_enqueue(configure: Any, declare: Declare, stores: Stores) -> None:
    configure(ROUTES=f"{__name__}.by_number")

    with pytest.raises(InvalidOption, match=r"by_number has no route for tests\.noop: ValueError: below zero"):
        declare(noop).delay(-1)
    assert stores.broker.list() == []
    declare(noop, name="tests.other").apply_async((-1,), queue="named")
    assert only(stores).queue == "named"
