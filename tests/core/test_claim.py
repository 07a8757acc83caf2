"""Names of claims, which are fences: they tell apart whatever differs, and survive being stored as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.core.claim import ClaimName

names = st.builds(
    ClaimName,
    session=st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True),
    child=st.integers(0, 2**31),
    number=st.integers(0, 2**53),
)


@given(names)
def test_a_name_survives_as_text(name: ClaimName) -> None:
    assert ClaimName.parse(str(name)) == name


@given(names, names)
def test_different_names_are_different_texts(one: ClaimName, other: ClaimName) -> None:
    assert (str(one) == str(other)) is (one == other)


def test_a_session_may_hold_what_separates_the_parts() -> None:
    assert ClaimName.parse("host/1/2/3") == ClaimName("host/1", 2, 3)


@pytest.mark.parametrize("text", ["", "a", "a/1", "a/b/c", "a/1/"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ClaimName.parse(text)
