"""Turns inside a queue: the key by which jobs take them, and the place in line that follows from it.

Start-time fair queueing (Goyal, Vin and Cheng, 1996), done at the enqueue: the line is ordered by place as ever, and a
job with a key stands one step behind the last one of its key, or at the head of the line if that is later. So of k keys
the n-th job of each stands before the n+1-th of any, and the claim knows nothing of keys. Jobs without a key stand
where they always do, by the time of their enqueue; the places of keys grow by a step a turn, far slower than time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, Final

from django_jobs.core.bounds import fair_text

FairKey = str | Callable[..., Any]
"""A text with names of arguments in braces, as "{shop_id}", or a function of the arguments."""
NO_KEY: Final = ""
"""The key of all jobs without one, in a queue to which QUEUES gives a `fair_key`."""


def begin_of(head_us: int | None, last_us: int | None, now_us: int) -> int:
    """Return where a newcomer stands in a line: at its head; where nobody waits, now, or behind the last place that was
    given there (`last_us`, None for none), since a burst of places may run ahead of the clock."""
    if head_us is not None:
        return head_us
    return now_us if last_us is None else max(now_us, last_us)


def place_of(begin_us: int, next_us: int | None) -> int:
    """Return the place of a job: behind its key's last one (`next_us`, None where none is known), if that is later."""
    return begin_us if next_us is None else max(begin_us, next_us)


def fields_of(template: str) -> tuple[str, ...]:
    """Return the names in a text like "{shop_id}:{kind}".

    Raises:
        ValueError: its braces are not names of arguments.
    """
    names = []
    for _, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if spec or conversion or not name.isidentifier():
            raise ValueError(f"what stands in its braces are names of arguments, as '{{shop_id}}'; {name!r} is none.")
        names.append(name)
    return tuple(names)


def check_fair_key(value: Any) -> FairKey:
    """Return a text or a function that makes keys, or raise TypeError or ValueError."""
    if isinstance(value, str):
        fields_of(value)
        return value
    if not callable(value):
        raise TypeError("it is a text with names of arguments, as '{shop_id}', or a function of the arguments.")
    made: FairKey = value
    return made


def check_fair_text(value: Any) -> str:
    """Return a text that makes keys, or raise TypeError or ValueError: settings have no functions."""
    if not isinstance(value, str):
        raise TypeError("it is a text with names of arguments, as '{shop_id}'.")
    fields_of(value)
    return value


def missing_fields(template: str, signature: inspect.Signature) -> list[str]:
    """Return the names in a text that are no parameters of a function."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return []
    return [name for name in fields_of(template) if name not in signature.parameters]


def key_by_template(
    template: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str | None:
    """Return the key of a call; None where one of its arguments is None, or is not there at all.

    Raises:
        TypeError: an argument is neither a text nor a whole number nor a UUID.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    values = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values.update(values.pop(name))
    found = {name: values.get(name) for name in fields_of(template)}
    if any(value is None for value in found.values()):
        return None
    for name, value in found.items():
        try:
            fair_text(value)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    return fair_text(template.format(**found))
