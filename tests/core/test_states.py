"""The table of states is whole, and agrees with itself. (The page about it is compared in tests/docs.)"""

from __future__ import annotations

import pytest

from django_jobs.core.outcome import FINAL
from django_jobs.core.states import CELERY_NAMES, DJANGO_NAMES, ENDED, LIVE, RETRIABLE, TRANSITIONS, State, may_follow


def test_every_state_has_its_place_in_each_table() -> None:
    assert set(TRANSITIONS) == set(CELERY_NAMES) == set(DJANGO_NAMES) == set(State)
    assert set(State) == LIVE | ENDED
    assert not LIVE & ENDED


def test_an_end_is_left_only_to_start_again() -> None:
    for state in ENDED:
        assert TRANSITIONS[state] == ({State.QUEUED} if state in RETRIABLE else set())


def test_a_success_is_final() -> None:
    assert State.SUCCEEDED not in RETRIABLE


def test_every_state_can_be_reached_and_every_live_one_can_end() -> None:
    reachable = {State.SCHEDULED, State.QUEUED}
    while more := {after for before in reachable for after in TRANSITIONS[before]} - reachable:
        reachable |= more
    assert reachable == set(State)
    assert all(TRANSITIONS[state] & ENDED for state in LIVE)


def test_outcomes_end_jobs_in_states_that_may_follow_running() -> None:
    assert set(FINAL.values()) | {State.RETRYING, State.QUEUED, State.QUARANTINED} >= TRANSITIONS[State.RUNNING] - {
        State.QUARANTINED
    }
    for kind, state in FINAL.items():
        allowed = state is State.EXPIRED or may_follow(State.RUNNING, state)
        assert allowed, f"{kind} ends a claimed job as {state}"


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (State.QUEUED, State.RUNNING, True),
        (State.RUNNING, State.QUEUED, True),
        (State.SCHEDULED, State.RUNNING, False),
        (State.RETRYING, State.RUNNING, False),
        (State.SUCCEEDED, State.QUEUED, False),
        (State.FAILED, State.QUEUED, True),
        (State.FAILED, State.RUNNING, False),
        (State.QUEUED, State.QUEUED, False),
    ],
)
def test_what_may_follow_what(before: State, after: State, allowed: bool) -> None:
    assert may_follow(before, after) is allowed
