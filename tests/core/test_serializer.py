"""What a job may carry: it comes back as it was, and everything else is refused with its path."""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from django_jobs.core.message import encode_body
from django_jobs.core.serializer import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    Unserializable,
    clean_text,
    decode_value,
    encode_unserializable,
    encode_value,
    from_plain,
    to_plain,
)
from django_jobs.exceptions import InvalidMessage, SerializationError
from django_jobs.testing.strategies import plain_values, texts, values


class Colour(enum.StrEnum):
    RED = "red"


class Weight(enum.IntEnum):
    HEAVY = 7


class Point(NamedTuple):
    x: int
    y: int


class Tired(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@dataclass
class Plain:
    x: int


def same(left: object, right: object) -> bool:
    """Compare with the types, the zones and NaN of Decimals, which == is blind to."""
    if type(left) is not type(right):
        return False
    match left, right:
        case dict(), dict():
            return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
        case datetime(), datetime():
            return left.isoformat() == right.isoformat() and str(left.tzinfo) == str(right.tzinfo)
        case Decimal(), Decimal():
            return str(left) == str(right)
        case float(), float():
            return left == right and str(left) == str(right)
        case _:
            return left == right


def there_and_back(value: Any) -> Any:
    return decode_value(encode_value(value))


# -- what is carried -------------------------------------------------------------------------------------------


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(there_and_back(value), value)


@given(plain_values)
def test_what_json_carries_is_left_as_it_is(value: Any) -> None:
    plain = to_plain(value, "args[0]")
    assert same(from_plain(plain), value)
    assert '"$"' in encode_value(value) or same(plain, value)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Colour.RED, "red"),
        (Weight.HEAVY, 7),
        (Tired("text"), "text"),
        (True, True),
        (INT_MAX, INT_MAX),
        (INT_MIN, INT_MIN),
        ("\0", "\0"),
        ("\x7f\u2028😀", "\x7f\u2028😀"),
    ],
    ids=repr,
)
def test_what_looks_like_a_plain_value_becomes_one(value: object, back: object) -> None:
    assert same(there_and_back(value), back)


@pytest.mark.parametrize(
    "value",
    [
        {"$": "datetime", "v": "2026-01-01"},
        {"$": "dict", "v": {"$": 1}},
        {"$": "nothing of ours"},
        {"$": None},
        [{"$": {"$": []}}],
    ],
    ids=repr,
)
def test_a_callers_own_dict_is_never_taken_for_one_of_our_tags(value: object) -> None:
    assert same(there_and_back(value), value)


def test_a_zone_comes_back_by_its_name_also_in_the_hour_that_is_there_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for fold in (0, 1):
        instant = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold)
        back = there_and_back(instant)
        assert (back.utcoffset(), back.tzinfo, back.replace(tzinfo=None)) == (
            instant.utcoffset(),
            berlin,
            instant.replace(tzinfo=None),
        )


def test_naive_aware_and_fixed_offsets_are_told_apart() -> None:
    naive = datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001  what is tested
    for value in (naive, naive.replace(tzinfo=UTC), naive.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30)))):
        assert same(there_and_back(value), value)


def test_nothing_is_an_empty_text_too() -> None:
    assert decode_value("") is None
    assert encode_value(None) == "null"


# -- what is refused -------------------------------------------------------------------------------------------


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "object": (object, r"^args\[0\] is of type builtins.object"),
    "own class": (lambda: Plain(1), r"Plain, which cannot be carried as JSON: Plain\(x=1\)"),
    "repr that raises": (Hostile, "its repr raised RuntimeError"),
    "set": (lambda: {1}, "builtins.set"),
    "complex": (lambda: 1j, "builtins.complex"),
    "path": (lambda: Path("a"), "Path"),
    "function": (lambda: len, "builtin_function_or_method"),
    "class": (lambda: int, "builtins.type"),
    "exception": (lambda: ValueError("x"), "builtins.ValueError"),
    "bytearray": (lambda: bytearray(b"x"), "builtins.bytearray"),
    "generator": (lambda: (item for item in ""), "builtins.generator"),
    "namespace": (lambda: SimpleNamespace(a=1), "types.SimpleNamespace"),
    "nan": (lambda: float("nan"), "is nan, which JSON cannot carry"),
    "infinity": (lambda: float("-inf"), "is -inf, which JSON cannot carry"),
    "too big": (lambda: INT_MAX + 1, "an integer past 64 bit"),
    "too small": (lambda: INT_MIN - 1, "an integer past 64 bit"),
    "huge": (lambda: 10**100_000, "an integer past 64 bit"),
    "number as key": (lambda: {1: "a"}, r"has the key 1 of type int; JSON's keys are strings"),
    "nothing as key": (lambda: {None: "a"}, "has the key None"),
    "lone surrogate": (lambda: "ab\ud800", "holds a lone surrogate at character 2"),
    "lone surrogate as key": (lambda: {"\udfff": 1}, r"\(a key\) holds a lone surrogate"),
    "too deep": (lambda: deep(MAX_DEPTH + 1), "nested more than 64 levels deep"),
    "very deep": (lambda: deep(5_000), "nested more than 64 levels deep"),
    "itself": (endless, "nested more than 64 levels deep"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_carried_is_refused_at_once(name: str) -> None:
    make, said = HOSTILE[name]
    value = make()
    started = time.perf_counter()
    with pytest.raises(SerializationError, match=said):
        to_plain(value, "args[0]")
    assert time.perf_counter() - started < 1, "the limit is 50 ms on an idle machine"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"user": {"created": object()}}, "kwargs.user.created"),
        ({"rows": [1, [2, {"a": {3}}]]}, r"kwargs.rows\[1\]\[1\].a"),
        ({"$": object()}, r"kwargs.\$"),
    ],
    ids=["objects", "lists", "our own tag"],
)
def test_the_error_names_the_path(value: object, path: str) -> None:
    with pytest.raises(SerializationError, match=f"^{path} is of type"):
        to_plain(value, "kwargs")


def test_the_deepest_allowed_value_can_be_stored_and_read() -> None:
    value = deep(MAX_DEPTH)
    assert there_and_back(value) == value
    assert encode_body([to_plain(value, "args[0]")], {})


@pytest.mark.parametrize(
    "text",
    [
        '{"$":"unknown","v":1}',
        '{"$":"datetime"}',
        '{"$":"datetime","v":"yesterday"}',
        '{"$":"datetime","v":"2026-01-01T00:00:00+00:00","zone":"Nowhere/At/All"}',
        '{"$":"date","v":5}',
        '{"$":"decimal","v":"x"}',
        '{"$":"uuid","v":"x"}',
        '{"$":"bytes","v":"?"}',
        '{"$":"timedelta","v":[1e300]}',
        '{"$":"dict","v":1}',
        '{"$":"unserializable","v":[]}',
        '{"$":["unhashable"],"v":1}',
        "[NaN]",
        "{",
        "\ud800",
        "[" * 100_000,
    ],
    ids=lambda text: repr(text[:30]),
)
def test_stored_text_that_is_not_ours_is_an_invalid_message(text: str) -> None:
    with pytest.raises(InvalidMessage):
        decode_value(text)


# -- what stands for a value that was not kept -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [object(), Hostile(), "x" * 10_000, "\ud800\0"], ids=["object", "raises", "long", "text"]
)
def test_a_value_that_could_not_be_kept_leaves_its_reason(value: object) -> None:
    back = decode_value(encode_unserializable("why", value))
    assert isinstance(back, Unserializable)
    assert back.reason == "why"
    assert 0 < len(back.text) <= 1024


@given(texts)
def test_text_that_every_store_takes_is_left_as_it_is_but_for_nul(text: str) -> None:
    assert clean_text(text) == text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def test_what_no_store_takes_is_replaced() -> None:
    assert clean_text("a\0b\ud800c") == "a\N{REPLACEMENT CHARACTER}b?c"
    clean_text("\ud800" * 1000).encode()


def test_dates_are_not_taken_for_datetimes() -> None:
    assert same(there_and_back([date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)])[0], date(2026, 1, 2))
    assert same(there_and_back(UUID(int=1)), UUID(int=1))
