"""A form for the arguments of a call, built from a function's signature."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextareaWidget, AdminTextInputWidget
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_jobs.core.serializer import from_plain, to_plain
from django_jobs.exceptions import JobsError, SerializationError

MAX_TEXT: Final = 1_000_000
"""Characters of one field; what a job may carry is checked when it is made."""
EMPTY: Final = inspect.Parameter.empty
POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class JSONText(forms.CharField):
    """JSON as messages carry it: `{"$": "date", "v": "2030-01-31"}` is a date. Gives the value, EMPTY for no text."""

    widget = AdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false", "class": "jobs-code"})
    default_error_messages = {"json": _("This is no JSON that can be read: %(why)s.")}

    def __init__(self, *, kind: type | None = None, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_TEXT, **kwargs)
        self._kind = kind

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return EMPTY
        try:
            read = from_plain(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError, JobsError) as error:
            raise forms.ValidationError(self.error_messages["json"], "json", {"why": str(error)[:200]}) from None
        if self._kind is not None and not isinstance(read, self._kind):
            raise forms.ValidationError(_KINDS[self._kind], "kind")
        return read


_KINDS: Final[Mapping[type, Any]] = {
    list: _('This is a JSON list, as [1, "two"].'),
    dict: _('This is a JSON object, as {"name": 1}.'),
}


class _Local(forms.DateTimeInput):
    """The browser's own way of asking for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "1", "class": "jobs-native"}, format="%Y-%m-%dT%H:%M:%S")


class _Date(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(attrs={"class": "jobs-native"}, format="%Y-%m-%d")


class _Time(forms.TimeInput):
    input_type = "time"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "1", "class": "jobs-native"}, format="%H:%M:%S")


FIELDS: Final[Mapping[Any, Callable[..., forms.Field]]] = {
    bool: lambda **kwargs: forms.BooleanField(**{**kwargs, "required": False}),
    int: lambda **kwargs: forms.IntegerField(widget=AdminIntegerFieldWidget, **kwargs),
    float: lambda **kwargs: forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **kwargs),
    str: lambda **kwargs: forms.CharField(strip=False, max_length=MAX_TEXT, widget=AdminTextInputWidget, **kwargs),
    datetime: lambda **kwargs: forms.DateTimeField(widget=_Local, **kwargs),
    date: lambda **kwargs: forms.DateField(widget=_Date, **kwargs),
    time: lambda **kwargs: forms.TimeField(widget=_Time, **kwargs),
    timedelta: lambda **kwargs: forms.DurationField(widget=AdminTextInputWidget, **kwargs),
    Decimal: lambda **kwargs: forms.DecimalField(widget=forms.NumberInput(attrs={"step": "any"}), **kwargs),
    UUID: lambda **kwargs: forms.UUIDField(widget=AdminTextInputWidget, **kwargs),
}
"""Type of a parameter -> its field; any other type is asked for as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A parameter and how it is asked for."""

    parameter: inspect.Parameter
    kind: Any
    """A key of FIELDS; None for JSON."""
    takes_none: bool

    @property
    def has_default(self) -> bool:
        return self.parameter.default is not EMPTY

    def field(self) -> forms.Field:
        """Return the form's field."""
        shared: dict[str, Any] = {"label": self.parameter.name, "help_text": self._help()}
        if self.parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return JSONText(kind=list, required=False, initial="[]", **shared)
        if self.parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return JSONText(kind=dict, required=False, initial="{}", **shared)
        if self.kind is None:
            return JSONText(required=not self.has_default, initial=_as_json(self.parameter.default), **shared)
        if self.kind is bool and self.takes_none:
            return forms.NullBooleanField(initial=self._initial(), **shared)
        required = not self.takes_none and not self.has_default
        return FIELDS[self.kind](required=required, initial=self._initial(), **shared)

    def value(self, given: Any) -> Any:
        """Return the argument that was given; EMPTY where the function's default is to stand."""
        if self.kind is None or given not in (None, "") or (self.kind is str and not self.takes_none):
            return given
        return None if self.takes_none else EMPTY

    def _initial(self) -> Any:
        return self.parameter.default if isinstance(self.parameter.default, self.kind) else None

    def _help(self) -> str:
        named = {
            inspect.Parameter.VAR_POSITIONAL: gettext("More arguments by position, as a JSON list."),
            inspect.Parameter.VAR_KEYWORD: gettext("More arguments by name, as a JSON object."),
        }
        if self.parameter.kind in named:
            return named[self.parameter.kind]
        kind = "JSON" if self.kind is None else self.kind.__name__
        if self.kind is bool and not self.takes_none:
            return kind
        if self.kind is not None and self.takes_none:
            return gettext("%(kind)s; empty for None") % {"kind": kind}
        if self.has_default and self.kind is not str:
            return gettext("%(kind)s; empty for the function's default") % {"kind": kind}
        return kind


class CallForm(forms.Form):
    """Asks for the arguments of one function."""

    prefix = "call"

    def __init__(self, asked: list[Asked], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = asked
        self.fields.update({item.parameter.name: item.field() for item in asked})

    def call(self) -> tuple[list[Any], dict[str, Any]]:
        """Return (args, kwargs) of the call that was asked for; the form is valid."""
        values = {item.parameter.name: item.value(self.cleaned_data[item.parameter.name]) for item in self.asked}
        rest = [values[name] for name in self._named(inspect.Parameter.VAR_POSITIONAL) if values[name] is not EMPTY]
        by_place = POSITIONAL if any(rest) else POSITIONAL[:1]  # what stands before *args has to be given by place
        args = [
            item.parameter.default if (value := values[item.parameter.name]) is EMPTY else value
            for item in self.asked
            if item.parameter.kind in by_place
        ]
        by_name = {*POSITIONAL, inspect.Parameter.KEYWORD_ONLY} - {*by_place}
        kwargs = {name: values[name] for name in self._named(*by_name) if values[name] is not EMPTY}
        for name in self._named(inspect.Parameter.VAR_KEYWORD):
            kwargs |= {} if values[name] is EMPTY else values[name]
        return [*args, *(value for part in rest for value in part)], kwargs

    def clean(self) -> dict[str, Any]:
        """Refuse a parameter that is named again among those by name."""
        for name in self._named(inspect.Parameter.VAR_KEYWORD):
            more = self.cleaned_data.get(name, EMPTY)
            taken = set(self.fields) & set(more if isinstance(more, dict) else ())
            if twice := sorted(taken):
                self.add_error(name, gettext("%(name)s has a field of its own.") % {"name": twice[0]})
        return self.cleaned_data

    def _named(self, *kinds: Any) -> list[str]:
        return [item.parameter.name for item in self.asked if item.parameter.kind in kinds]


def asked_of(function: Callable[..., Any], signature: inspect.Signature) -> list[Asked]:
    """Return how each parameter of a task's function is asked for."""
    return [_asked(parameter, _annotation(function, parameter)) for parameter in signature.parameters.values()]


def _asked(parameter: inspect.Parameter, annotation: Any) -> Asked:
    kinds = [kind for kind in _alternatives(annotation) if kind is not type(None)]
    takes_none = len(kinds) < len(list(_alternatives(annotation))) or parameter.default is None
    kind = kinds[0] if len(kinds) == 1 else None
    if annotation is EMPTY:
        kind = type(parameter.default)
    is_known = isinstance(kind, type) and kind in FIELDS
    return Asked(parameter=parameter, kind=kind if is_known else None, takes_none=takes_none)


def _alternatives(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        yield from typing.get_args(annotation)
    else:
        yield annotation


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return what a parameter is annotated with; None where only a type checker knows it."""
    if parameter.annotation is EMPTY:
        return EMPTY
    one = types.SimpleNamespace(__annotations__={"value": parameter.annotation})
    try:
        return typing.get_type_hints(one, inspect.unwrap(function).__globals__)["value"]
    except Exception:  # noqa: BLE001  an annotation may be any expression, and may name what is not imported
        return None


def _as_json(value: Any) -> str:
    if value is EMPTY:
        return ""
    try:
        return msgspec.json.encode(to_plain(value, "default")).decode()
    except SerializationError:
        return ""
