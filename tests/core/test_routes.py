"""ROUTES, read and asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_jobs.core.routes import NO_ROUTE, Routes, read_route, read_routes
from django_jobs.exceptions import InvalidOption


def by_argument(name: str, args: Any, kwargs: Any, options: Any) -> Any:
    """A project's function: says what the call carries, for these tests."""
    return kwargs.get("route")


def test_the_first_entry_that_fits_decides() -> None:
    routes = read_routes({"shop.jobs.send": "mail", "shop.*": {"queue": "shop", "priority": 5}, "*": "rest"})

    assert routes.find("shop.jobs.send") == {"queue": "mail"}
    assert routes.find("shop.jobs.send_all") == {"queue": "shop", "priority": 5}
    assert routes.find("shopping") == {"queue": "rest"}
    assert not routes.is_dynamic


def test_a_name_fits_as_a_whole_and_letter_by_letter() -> None:
    routes = read_routes({"a.b": "exact", "c.[de]?": "glob"})

    assert routes.find("a.bc") is NO_ROUTE
    assert routes.find("xa.b") is NO_ROUTE
    assert routes.find("A.b") is NO_ROUTE
    assert routes.find("c.d1") == {"queue": "glob"}
    assert routes.find("c.f1") is NO_ROUTE


def test_a_list_is_asked_in_order() -> None:
    routes = read_routes([by_argument, (re.compile(r"a\.\d+$"), "numbers"), ("a.*", "a"), [{"b": "b"}]])

    assert routes.is_dynamic
    assert routes.find("a.12") == {"queue": "numbers"}
    assert routes.find("a.x") == {"queue": "a"}
    assert routes.find("b") == {"queue": "b"}
    assert routes.find("a.12", (), {"route": "mine"}) == {"queue": "mine"}
    assert routes.find("zzz", (), {"route": {"priority": 3, "queue": None}}) == {"priority": 3}


def test_a_dotted_path_is_imported_at_the_first_call() -> None:
    read_routes("no.such.module")
    routes = read_routes(f"{__name__}.by_argument")

    assert routes.find("a", (), {"route": "there"}) == {"queue": "there"}
    assert routes.find("a", (), {}) is NO_ROUTE


def broken(name: str, args: Any, kwargs: Any, options: Any) -> Any:
    raise LookupError("no idea")


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (broken, "broken has no route for a.b: LookupError: no idea"),
        (lambda *_: 7, "TypeError: a route is a queue's name"),
        (lambda *_: "no way", "a queue's name is 1 to 128 characters"),
        (lambda *_: {"routing_key": "x"}, "a route has no 'routing_key'; it may have: queue, priority, expires"),
        ("no.such.function", "no.such.function has no route for a.b: ModuleNotFoundError"),
        ("broken", "'broken' names no function"),
        (f"{__name__}.NO_ROUTE", "names no function"),
    ],
)
def test_a_function_that_does_not_decide_stops_the_enqueue(routes: Any, told: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(told) + r".*Nothing was enqueued\."):
        read_routes(routes).find("a.b")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (7, "it is a dict of task names or globs"),
        ([{"a": 1}], "'a': a route is a queue's name or a dict"),
        ({"a": {"que": "x"}}, "'a': a route has no 'que'"),
        ({"a": "no way"}, "'a': a queue's name is"),
        ({"a": {"priority": 1000}}, "'a': a priority is a whole number"),
        ({"a": {"expires": -1}}, "'a': it is a duration in seconds"),
        ({7: "x"}, "what stands before a route is a task's name or a glob, not 7"),
        ({"": "x"}, "what stands before a route"),
        ([None], "it is a dict of task names"),
    ],
)
def test_what_cannot_be_a_route_is_refused(value: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(told)):
        read_routes(value)


def test_none_is_no_route_and_no_setting_is_none() -> None:
    assert read_route(None) is NO_ROUTE
    assert Routes().find("a") is NO_ROUTE
    assert read_routes({}) == Routes()
