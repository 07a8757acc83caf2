"""What the state machine draws: jobs, requests and outcomes, and who makes the calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.bounds import Bounds, Unique
from django_jobs.core.claim import ClaimName
from django_jobs.core.message import encode_body
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.testing.strategies import plain_values

QUEUES: Final = ("a", "b")
TASKS: Final = ("shop.known", "shop.unknown", "shop.once")
AT_MOST_ONCE: Final = "shop.once"
MAX_CRASHES: Final = 2
STEP_SECONDS: Final = 100
"""The clock moves in such steps only, and every duration is some of them."""
TIMEOUT_SECONDS: Final = 250


class Fence(NamedTuple):
    """What a settle needs of a claim, as it was."""

    id: str
    name: ClaimName
    attempt: int


_durations_us = st.sampled_from([None, None, None, None, 1, 3]).map(
    lambda steps: None if steps is None else steps * STEP_SECONDS * 1_000_000
)
_bodies = st.one_of(st.just('{"v":1}'), st.lists(plain_values, max_size=2).map(lambda values: encode_body(values, {})))

_uniques = st.sampled_from([None, None, None, "one", "one", "two"]).flatmap(
    lambda key: st.none() if key is None else st.builds(Unique, key=st.just(key), until_start=st.booleans())
)


def _bind(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a message with a unique key where one was drawn; its body has it too, and nothing else."""
    unique = fields.pop("unique")
    if unique is None:
        return fields
    bounds = Bounds(unique=unique)
    return {**fields, "bounds": bounds, "body": encode_body((), {}, bounds=bounds)}


message_fields = st.fixed_dictionaries(
    {
        "unique": _uniques,
        "queue": st.sampled_from(QUEUES),
        "task": st.sampled_from(TASKS),
        "priority": st.sampled_from([0, 0, -100, 1, 100]),
        "delay_us": _durations_us,
        "expires_after_us": _durations_us,
        "body": _bodies,
        "id_given": st.booleans(),
    }
).map(_bind)
"""Everything of a `Message` but its id."""

want_fields = st.builds(
    lambda queues, limit: {"queues": queues, "limit": limit or 1, "suspects": limit is None},
    st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a")]),
    st.sampled_from([None, None, 1, 2, 5]),
)
"""Everything of a `Want` but its name; who asks for a suspect asks for one job."""


@st.composite
def outcomes(draw: st.DrawFn, current: Sequence[Fence], past: Sequence[Fence]) -> list[Outcome]:
    """Return outcomes under some of the fences that hold now, and now and then one that may be stale."""
    chosen = draw(st.lists(st.sampled_from(current), min_size=1, max_size=5, unique=True)) if current else []
    if past and draw(st.integers(0, 3)) == 0:
        chosen.append(draw(st.sampled_from(past)))
    if current and draw(st.integers(0, 3)) == 0:
        chosen.append(_forged(draw(st.sampled_from(current)), draw(st.booleans())))
    return [_outcome(draw, fence) for fence in dict.fromkeys(chosen)]


def _forged(fence: Fence, by_attempt: bool) -> Fence:
    """Return a fence that was never given: another attempt, or the next claim of the same child."""
    if by_attempt:
        return fence._replace(attempt=fence.attempt + 1)
    return fence._replace(name=fence.name._replace(number=fence.name.number + 1))


def _outcome(draw: st.DrawFn, fence: Fence) -> Outcome:
    kind = draw(st.sampled_from(Kind))
    record = AttemptRecord(attempt=fence.attempt, cause="failure", message="\N{SNOWMAN}")
    return Outcome(
        id=fence.id,
        name=fence.name,
        attempt=fence.attempt,
        kind=kind,
        delay_seconds=draw(st.sampled_from([0, STEP_SECONDS, 3 * STEP_SECONDS])),
        charged=draw(st.booleans()),
        max_crashes=MAX_CRASHES,
        keep=draw(st.booleans()),
        record=record if kind in {Kind.FAILED, Kind.RETRYING, Kind.CRASHED} else None,
    )
