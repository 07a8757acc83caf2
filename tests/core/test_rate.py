"""Rates: what their texts mean, and what they allow at an instant."""

from __future__ import annotations

from typing import Any

import pytest

from django_jobs.core.rate import Rate, allowance, opens_us, outstanding, read_rate

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(100_000)),
        ("100/m", Rate(600_000)),
        ("5/h", Rate(720 * SECOND)),
        ("1/d", Rate(86_400 * SECOND)),
        (" 10 / s ", Rate(100_000)),
        ("0.5/s", Rate(2 * SECOND)),
        ("10/s:5", Rate(100_000, 5)),
        (10, Rate(100_000)),
        (0.25, Rate(4 * SECOND)),
        ("10000/s", Rate(100)),
    ],
)
def test_a_rate_is_read(text: Any, rate: Rate) -> None:
    assert read_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "/s", "ten/s", "10/x", "10/sec", "-1/s", "0/s", 0, -1, True, None, [], "1e3/s", "10/s:", "10/s:0",
     "10/s:x", "10/s:5:5", "20000/s", "0.001/d", "nan/s", float("nan"), float("inf"), "١/s\n1"],
)  # fmt: skip
def test_what_is_no_rate_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"a rate is|a burst is"):
        read_rate(text)


def starts(rate: Rate, looks: list[int], *, waited: bool = True) -> list[int]:
    """Return the instants of the starts of jobs that always wait, looked at at these instants."""
    next_us, found = 0, []
    for number, now_us in enumerate(looks):
        allowed = allowance(rate, next_us, now_us, waited=waited and number > 0)
        found += [now_us] * allowed.starts
        next_us = allowed.next_us + allowed.starts * rate.period_us
    return found


def test_a_pace_is_kept_by_exact_looks() -> None:
    assert starts(Rate(10), list(range(100, 150))) == [100, 110, 120, 130, 140]


def test_late_looks_do_not_slow_it_down() -> None:
    assert len(starts(Rate(50_000), list(range(SECOND, 11 * SECOND, 53_000)))) in {200, 201}


def test_what_is_later_than_a_second_is_not_made_up_for() -> None:
    rate = Rate(100_000)
    assert allowance(rate, SECOND, 2 * SECOND, waited=True).starts == 11
    assert allowance(rate, SECOND, 2 * SECOND + 1, waited=True).starts == 1
    assert allowance(rate, SECOND, 2 * SECOND, waited=False).starts == 1


def test_a_burst_comes_back_with_the_pace() -> None:
    rate = Rate(10, 3)
    assert starts(rate, [100, 101, 109, 110, 111, 125]) == [100, 100, 100, 110, 125]
    first = allowance(rate, 0, 100, waited=False)
    assert first == (3, 100)
    after = first.next_us + 3 * rate.period_us
    assert opens_us(rate, after) == 110
    assert allowance(rate, after, 109, waited=True).starts == 0
    assert allowance(rate, after, 110, waited=True).starts == 1
    assert allowance(rate, after, 130, waited=False).starts == 3


def test_what_may_be_let_through_unclaimed_is_little() -> None:
    assert [outstanding(Rate(period_us)) for period_us in (100, 5_000, 50_000, SECOND, 60 * SECOND)] == [
        20,
        20,
        2,
        1,
        1,
    ]
    assert [outstanding(Rate(SECOND, burst)) for burst in (1, 5, 500)] == [1, 5, 20]
