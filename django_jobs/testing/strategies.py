"""Hypothesis strategies for what jobs carry."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from django_jobs.core.serializer import INT_MAX, INT_MIN

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
"""Every character but lone surrogates."""

json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT_MIN, INT_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)

_zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]).map(ZoneInfo),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)

scalars = st.one_of(
    json_scalars,
    st.datetimes(timezones=_zones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.binary(max_size=40),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists and objects of `leaves`, some levels deep; the key of our own tags is among the keys."""
    keys = st.one_of(texts, st.just("$"))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=10,
    )


plain_values = nested(json_scalars)
"""What JSON carries by itself."""

values = nested(scalars)
"""What a job may be given, as it comes back: without tuples, which come back as lists."""
