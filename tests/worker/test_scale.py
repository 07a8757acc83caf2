"""When children are added and taken away: quickly where jobs wait for busy ones, slowly where nobody needs them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from django_jobs.worker.scale import SHRINK_SECONDS, STEP_SECONDS, Look, Scale


def follow(scale: Scale, seen: Iterable[tuple[int, bool]], *, children: int, start: float = 0.0) -> list[int]:
    """Look once a second at (busy, whether jobs wait); return how many children there are after each look."""
    counts = []
    for second, (busy, jobs_wait) in enumerate(seen):
        look = Look(now=start + second, children=children, busy=min(busy, children), jobs_wait=jobs_wait)
        children = scale.decide(look)
        counts.append(children)
    return counts


def test_it_doubles_while_all_are_busy_and_jobs_wait_up_to_the_most() -> None:
    assert follow(Scale(1, 10), [(99, True)] * 6, children=1) == [1, 2, 4, 8, 10, 10]


def test_one_look_at_a_heap_adds_nobody() -> None:
    assert follow(Scale(1, 8), [(2, True), (2, False)] * 4, children=2) == [2] * 8


@pytest.mark.parametrize("seen", [(1, True), (2, False)], ids=["somebody is idle", "nothing waits"])
def test_it_does_not_grow_without_both(seen: tuple[int, bool]) -> None:
    assert follow(Scale(1, 8), [seen] * 10, children=2) == [2] * 10


def test_it_lets_go_of_one_at_a_time_once_nobody_was_needed_for_long() -> None:
    counts = follow(Scale(1, 8), [(0, False)] * 60, children=4)

    assert counts[int(SHRINK_SECONDS) - 1] == 4
    assert counts[int(SHRINK_SECONDS)] == 3
    assert counts[int(SHRINK_SECONDS + STEP_SECONDS)] == 2
    assert counts[int(SHRINK_SECONDS + 2 * STEP_SECONDS)] == 1
    assert counts[-1] == 1


def test_those_that_were_needed_lately_stay() -> None:
    """One moment in which all were busy keeps them for the whole time that a shrink looks back."""
    seen = [(4, False)] + [(0, False)] * int(SHRINK_SECONDS)

    assert follow(Scale(1, 8), seen * 3, children=4) == [4] * 3 * len(seen)


def test_it_shrinks_to_what_was_busy_and_not_below_the_fewest() -> None:
    assert follow(Scale(1, 8), [(2, False)] * 60, children=5)[-1] == 2
    assert follow(Scale(3, 8), [(0, False)] * 60, children=5)[-1] == 3


def test_after_growth_it_waits_before_it_shrinks() -> None:
    scale = Scale(1, 4)
    grown = follow(scale, [(99, True)] * 3, children=1)
    idle = follow(scale, [(0, False)] * 40, children=grown[-1], start=3.0)

    assert grown[-1] == 4
    assert idle[: int(SHRINK_SECONDS) - 2] == [4] * (int(SHRINK_SECONDS) - 2)
    assert idle[-1] == 1


def test_a_load_that_comes_and_goes_does_not_make_it_flap() -> None:
    """Ten seconds of work in each twenty-five: once grown, it stays."""
    wave = [(99, True)] * 10 + [(0, False)] * 15

    assert set(follow(Scale(1, 4), wave * 4, children=1)[len(wave) :]) == {4}


def test_what_is_out_of_bounds_is_brought_inside() -> None:
    assert Scale(2, 4).decide(Look(now=0.0, children=9, busy=0, jobs_wait=False)) == 4
    assert Scale(2, 4).decide(Look(now=0.0, children=1, busy=0, jobs_wait=False)) == 2
