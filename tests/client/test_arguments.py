"""Does a call fit a function?"""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs import InvalidArguments
from django_jobs.client.arguments import CallShape

BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
NAMES = "abcdefg"


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Draw a signature with any mixture of kinds and defaults that Python allows."""
    kinds: list[Any] = sorted(draw(st.lists(st.sampled_from((*BY_PLACE, Parameter.KEYWORD_ONLY)), max_size=5)))
    if draw(st.booleans()):
        kinds = sorted([*kinds, Parameter.VAR_POSITIONAL])
    if draw(st.booleans()):
        kinds = [*kinds, Parameter.VAR_KEYWORD]
    parameters: list[Parameter] = []
    defaulted = False
    for name, kind in zip(NAMES, kinds, strict=False):
        default: Any = Parameter.empty
        if kind in BY_PLACE:
            defaulted |= draw(st.booleans())
            default = 0 if defaulted else Parameter.empty
        elif kind is Parameter.KEYWORD_ONLY and draw(st.booleans()):
            default = 0
        parameters.append(Parameter(name, kind, default=default))
    return inspect.Signature(parameters)


@given(signatures(), st.integers(0, 6), st.sets(st.sampled_from(NAMES)))
def test_the_answer_is_the_one_of_python(signature: inspect.Signature, given_args: int, names: set[str]) -> None:
    # inspect.Signature.bind is no oracle: up to Python 3.12 it refuses f(a=1) for def f(a=0, /, **rest).
    space: dict[str, Any] = {}
    exec(f"def function{signature}: pass", space)
    args, kwargs = (0,) * given_args, dict.fromkeys(names, 0)
    try:
        space["function"](*args, **kwargs)
    except TypeError:
        with pytest.raises(InvalidArguments):
            CallShape("task", signature).check(args, kwargs)
    else:
        CallShape("task", signature).check(args, kwargs)


def send(customer_id: int, /, subject: str, *, urgent: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ((), {}, "missing 'customer_id', 'subject'"),
        ((1, "x", True), {}, "3 positional arguments where it takes 2"),
        ((1, "x"), {"subject": "y"}, "given by position and again by name: 'subject'"),
        ((1, "x"), {"urgant": True}, "unexpected 'urgant' (did you mean 'urgent'?)"),
        ((), {"customer_id": 1, "subject": "x"}, "'customer_id' is taken by position only"),
    ],
)
def test_the_error_shows_the_signature_and_the_difference(
    args: tuple[Any, ...], kwargs: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        CallShape("shop.jobs.send", inspect.signature(send)).check(args, kwargs)
    assert told in str(caught.value)
    assert "shop.jobs.send(customer_id: 'int', /, subject: 'str'" in str(caught.value)
    assert "Nothing was enqueued" in str(caught.value)


def test_the_error_names_no_value() -> None:
    with pytest.raises(InvalidArguments) as caught:
        CallShape("task", inspect.signature(send)).check(("hunter2",), {"password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_signature_of_any_length_is_cut_in_the_error() -> None:
    parameters = [Parameter(f"parameter_{index}", Parameter.KEYWORD_ONLY) for index in range(500)]
    with pytest.raises(InvalidArguments) as caught:
        CallShape("task", inspect.Signature(parameters)).check((1,), {})
    assert "..." in str(caught.value)
    assert "parameter_499" not in str(caught.value).split("cannot be called")[0]
