"""A form asks for what a function takes, and gives the call that was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from django import forms
from django.conf import settings
from django.http import QueryDict

from django_jobs.admin.callform import CallForm, asked_of

if TYPE_CHECKING:
    from elsewhere import Unknown  # type: ignore[import-not-found]  # that is what the test is about

ID = "12345678-1234-5678-1234-567812345678"


def form_of(function: Callable[..., Any], data: dict[str, str] | None = None) -> CallForm:
    query = QueryDict(mutable=True)
    query.update({f"call-{name}": value for name, value in (data or {}).items()})
    return CallForm(asked_of(function, inspect.signature(function)), None if data is None else query)


def call_of(function: Callable[..., Any], **data: str) -> tuple[list[Any], dict[str, Any]]:
    form = form_of(function, data)
    assert form.is_valid(), form.errors
    return form.call()


def errors_of(function: Callable[..., Any], **data: str) -> dict[str, Any]:
    form = form_of(function, data)
    assert not form.is_valid()
    return dict(form.errors)


def typed(
    whole: int, part: float, text: str, is_so: bool, day: date, at: datetime, hour: time, exact: Decimal, key: UUID,
    length: timedelta, maybe: int | None, rest: list[int],
) -> None: ...  # fmt: skip


def test_each_type_is_asked_for_in_its_own_way() -> None:
    fields = form_of(typed).fields
    assert {name: type(field).__name__ for name, field in fields.items()} == {
        "whole": "IntegerField",
        "part": "FloatField",
        "text": "CharField",
        "is_so": "BooleanField",
        "day": "DateField",
        "at": "DateTimeField",
        "hour": "TimeField",
        "exact": "DecimalField",
        "key": "UUIDField",
        "length": "DurationField",
        "maybe": "IntegerField",
        "rest": "JSONText",
    }
    assert [name for name, field in fields.items() if not field.required] == ["is_so", "maybe"]


def test_values_arrive_as_what_they_are() -> None:
    args, kwargs = call_of(
        typed, whole="-7", part="2.5", text=" two ", is_so="on", day="2030-01-31", at="2030-01-31T12:30", hour="07:30",
        exact="1.10", key=ID, length="1 02:00:00", maybe="", rest='[1, {"$": "date", "v": "2030-01-31"}]',
    )  # fmt: skip
    at = datetime(2030, 1, 31, 12, 30, tzinfo=UTC if settings.USE_TZ else None)
    assert args == []
    assert kwargs == {
        "whole": -7, "part": 2.5, "text": " two ", "is_so": True, "day": date(2030, 1, 31), "at": at,
        "hour": time(7, 30), "exact": Decimal("1.10"), "key": UUID(ID), "length": timedelta(days=1, hours=2),
        "maybe": None, "rest": [1, date(2030, 1, 31)],
    }  # fmt: skip


def defaults(  # type: ignore[no-untyped-def]  # people write such functions
    number: int = 3, text: str = "x", flag: bool = True, maybe: int | None = 5, items: tuple[int, ...] = (1, 2),
    thing: Any = object(), untyped=1.5, nothing=None,  # noqa: ANN001, B008  as above
) -> None: ...  # fmt: skip


def test_defaults_are_shown() -> None:
    form = form_of(defaults)
    assert {name: form[name].value() for name in form.fields} == {
        "number": 3, "text": "x", "flag": True, "maybe": 5, "items": "[1,2]", "thing": "", "untyped": 1.5,
        "nothing": "null",
    }  # fmt: skip
    assert isinstance(form.fields["untyped"], forms.FloatField)


def test_what_is_empty_is_the_default_or_none() -> None:
    assert call_of(defaults) == ([], {"text": "", "flag": False, "maybe": None})


def test_an_explicit_null_is_none_and_no_default() -> None:
    assert call_of(defaults, items="null", thing="null")[1].items() >= {"items": None, "thing": None}.items()


def by_place(first: int, second: int = 2, /, third: int = 3, *more: int, named: int, **others: int) -> None: ...


def test_parameters_by_place_and_the_rest_keep_their_order() -> None:
    assert call_of(by_place, first="1", third="9", named="4") == ([1, 2], {"third": 9, "named": 4})
    assert call_of(by_place, first="1", second="", third="", more="[7, 8]", named="4", others='{"x": 5}') == (
        [1, 2, 3, 7, 8],
        {"named": 4, "x": 5},
    )


def test_a_parameter_is_not_named_again() -> None:
    assert set(errors_of(by_place, first="1", named="4", others='{"named": 5}')) == {"others"}


def test_what_only_a_type_checker_knows_is_asked_for_as_json() -> None:
    def odd(thing: Unknown, other: "list[Unknown]", number: int) -> None: ...  # noqa: UP037

    assert [type(field).__name__ for field in form_of(odd).fields.values()] == ["JSONText", "JSONText", "IntegerField"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", "1.5"),
        ("whole", "one"),
        ("whole", ""),
        ("part", "nan"),
        ("part", "inf"),
        ("text", "a\0b"),
        ("text", ""),
        ("day", "2030-02-31"),
        ("key", "no"),
        ("rest", ""),
        ("rest", "[1,"),
        ("rest", "NaN"),
        ("rest", "[" * 100_000),
        ("rest", '{"$": "pickle", "v": ""}'),
        ("rest", "x" * 1_000_001),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(name: str, value: str) -> None:
    good = {
        "whole": "1", "part": "1", "text": "x", "day": "2030-01-31", "at": "2030-01-31T12:30", "hour": "07:30",
        "exact": "1", "key": ID, "length": "1", "rest": "[]",
    }  # fmt: skip
    assert form_of(typed, good).is_valid()
    assert set(errors_of(typed, **{**good, name: value})) == {name}
