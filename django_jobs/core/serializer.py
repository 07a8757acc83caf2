"""JSON with a few types more: checks and encodes at the call, decodes in the worker. Never pickle.

Carried beside JSON's own: datetime, date, time, timedelta, Decimal, UUID and bytes, each as an object with the key "$".
A caller's own dict that has a key "$" is wrapped, so that it comes back as it was. Tuples come back as lists.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from django_jobs.exceptions import InvalidMessage, SerializationError

TAG: Final = "$"
MAX_DEPTH: Final = 64
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class Unserializable(msgspec.Struct, frozen=True):
    """Stands for a returned value that was not kept: the job succeeded, its result could not be carried."""

    reason: str
    text: str
    """The beginning of the value's repr."""


def to_plain(value: Any, path: str) -> Any:
    """Return `value` made of JSON's types only; `path` (as `args[0]` or `kwargs.user`) is named in errors.

    Raises:
        SerializationError: a type that is not carried, NaN or infinity, an integer past 64 bit, a key that is no
            string, a lone surrogate, or more than 64 levels.
    """
    return _plain(value, path, 0)


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given (tuples as lists)."""
    if type(value) is list:
        return [from_plain(item) for item in value]
    if type(value) is dict:
        if TAG in value:
            return _untag(value)
        return {key: from_plain(item) for key, item in value.items()}
    return value


def encode_value(value: Any, path: str = "result") -> str:
    """Return one value as JSON text."""
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int and INT_MIN <= value <= INT_MAX:
        return str(value)
    return _encoder.encode(to_plain(value, path)).decode()


def decode_value(text: str) -> Any:
    """Read what `encode_value` wrote; empty text is None.

    Raises:
        InvalidMessage: the text is not ours.
    """
    if not text:
        return None
    try:
        value = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidMessage(f"The stored value is not readable: {error}.") from error
    return from_plain(value) if '"$"' in text else value


def encode_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the arguments of one call as JSON text.

    Raises:
        SerializationError: naming the value by its path, as `args[0]` or `kwargs.user`.
    """
    return _encoder.encode([to_plain(list(args), "args"), to_plain(dict(kwargs), "kwargs")]).decode()


def decode_call(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Read what `encode_call` wrote."""
    args, kwargs = decode_value(text)
    return tuple(args), kwargs


def encode_unserializable(reason: str, value: Any) -> str:
    """Return the JSON text that stands for a value which could not be kept."""
    return _encoder.encode({TAG: "unserializable", "v": [reason, _guarded_repr(value)]}).decode()


def clean_text(text: str) -> str:
    """Return `text` without NUL and lone surrogates, which PostgreSQL and UTF-8 refuse."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text


def _guarded_repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  a repr of the caller's own may do anything
        text = f"<{type(value).__qualname__}: its repr raised {type(error).__name__}>"
    return clean_text(text[:1024])


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    plain = _EXACT.get(kind)
    if plain is not None:
        return plain(value, path, depth)
    for base, plain in _BASES:
        if isinstance(value, base):
            return plain(value, path, depth)
    raise SerializationError(
        f"{path} is of type {kind.__module__}.{kind.__qualname__}, which cannot be carried as JSON: "
        f"{_guarded_repr(value)[:80]}. Pass a primary key or plain values instead (str, int, float, bool, None, list, "
        "tuple, dict, datetime, date, time, timedelta, Decimal, UUID, bytes)."
    )


def _same(value: Any, path: str, depth: int) -> Any:
    return value


def _text(value: str, path: str, depth: int) -> str:
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SerializationError(
                f"{path} holds a lone surrogate at character {error.start}, which UTF-8 cannot carry. "
                "Decode the bytes it came from with errors='replace'."
            ) from None
    return text


def _integer(value: int, path: str, depth: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise SerializationError(f"{path} is an integer past 64 bit. Pass it as a string.")
    return int(value)


def _number(value: float, path: str, depth: int) -> float:
    if not math.isfinite(value):
        raise SerializationError(f"{path} is {float(value)!r}, which JSON cannot carry. Pass None or a string.")
    return float(value)


def _sequence(value: Any, path: str, depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        raise SerializationError(f"{path[:200]} is nested more than {MAX_DEPTH} levels deep.")
    return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    if depth >= MAX_DEPTH:
        raise SerializationError(f"{path[:200]} is nested more than {MAX_DEPTH} levels deep.")
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise SerializationError(
                f"{path} has the key {_guarded_repr(key)[:80]} of type {type(key).__qualname__}; JSON's keys are "
                "strings. Convert it with str()."
            )
        plain[_text(key, f"{path} (a key)", depth)] = _plain(item, f"{path}.{key}", depth + 1)
    return {TAG: "dict", "v": plain} if TAG in plain else plain


def _tagged(name: str, text: Callable[[Any], Any]) -> Callable[[Any, str, int], dict[str, Any]]:
    def plain(value: Any, path: str, depth: int) -> dict[str, Any]:
        return {TAG: name, "v": text(value)}

    return plain


def _datetime(value: datetime, path: str, depth: int) -> dict[str, Any]:
    zone = getattr(value.tzinfo, "key", None)
    if zone:
        return {TAG: "datetime", "v": value.isoformat(), "zone": zone}
    return {TAG: "datetime", "v": value.isoformat()}


def _timedelta_text(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


_EXACT: dict[type, Callable[[Any, str, int], Any]] = {
    type(None): _same,
    bool: _same,
    str: _text,
    int: _integer,
    float: _number,
    list: _sequence,
    tuple: _sequence,
    dict: _mapping,
    datetime: _datetime,
    date: _tagged("date", date.isoformat),
    time: _tagged("time", time.isoformat),
    timedelta: _tagged("timedelta", _timedelta_text),
    Decimal: _tagged("decimal", str),
    UUID: _tagged("uuid", str),
    bytes: _tagged("bytes", lambda value: base64.b64encode(value).decode()),
}
_BASES: tuple[tuple[Any, Callable[[Any, str, int], Any]], ...] = (
    (str, _text),
    (int, _integer),
    (float, _number),
    ((list, tuple), _sequence),
    (Mapping, _mapping),
    (datetime, _datetime),
    *((kind, _EXACT[kind]) for kind in (date, time, timedelta, Decimal, UUID, bytes)),
)


def _read_datetime(value: dict[str, Any]) -> datetime:
    instant = datetime.fromisoformat(value["v"])
    if "zone" in value:
        return instant.astimezone(ZoneInfo(value["zone"]))
    return instant


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": lambda value: {key: from_plain(item) for key, item in value["v"].items()},
    "datetime": _read_datetime,
    "date": lambda value: date.fromisoformat(value["v"]),
    "time": lambda value: time.fromisoformat(value["v"]),
    "timedelta": lambda value: timedelta(*value["v"]),
    "decimal": lambda value: Decimal(value["v"]),
    "uuid": lambda value: UUID(value["v"]),
    "bytes": lambda value: base64.b64decode(value["v"], validate=True),
    "unserializable": lambda value: Unserializable(*value["v"]),
}


def _untag(value: dict[str, Any]) -> Any:
    try:
        return _READERS[value[TAG]](value)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise InvalidMessage(
            f"A stored value is tagged {str(value.get(TAG))[:40]!r} but cannot be read: {error}."
        ) from error
