"""Rates: how many starts in which time, read from the text that people write."""

from __future__ import annotations

import math
import re
from typing import Any, Final, NamedTuple

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PATTERN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*/\s*([smhd])(?::(\d{1,6}))?\Z")
PERIOD_MIN_US: Final = 100
PERIOD_MAX_US: Final = 366 * 86_400 * 1_000_000


class Rate(NamedTuple):
    """A paced rate: one start each `period_us` microseconds, and `burst` at once after a rest."""

    period_us: int
    burst: int = 1


def read_rate(value: Any) -> Rate:
    """Return the rate of a text as "10/s", "100/m", "5/h", "1/d", or "10/s:5" with a burst; a number is per second.

    Raises:
        ValueError: it is none, or out of range.
    """
    text = f"{value}/s" if isinstance(value, int | float) and not isinstance(value, bool) else value
    found = PATTERN.match(text.strip()) if isinstance(text, str) else None
    if found is None or not float(found[1]):
        raise ValueError(
            'a rate is a text as "10/s", "100/m", "5/h" or "1/d", and "10/s:5" lets 5 start at once after a rest.'
        )
    period_us = round(SECONDS[found[2]] * 1_000_000 / float(found[1]))
    burst = int(found[3] or 1)
    if not PERIOD_MIN_US <= period_us <= PERIOD_MAX_US:
        raise ValueError("a rate is one start in a year at least, and 10,000 in a second at most.")
    if burst < 1:
        raise ValueError("a burst is 1 at least.")
    return Rate(period_us, burst)


class Allowance(NamedTuple):
    """What a rate allows at one instant."""

    starts: int
    next_us: int
    """Where the pace is counted from: the instant of the next start, if none came before it."""


CATCH_UP_US: Final = 1_000_000
"""What starts later than it might have, by no more than this, is made up for."""


def allowance(rate: Rate, next_us: int, now_us: int, *, waited: bool) -> Allowance:
    """Return how many may start now; `waited`: jobs have waited since `next_us`, so that a late look is made up for.

    The generic cell rate algorithm, whose one number is `next_us`: after k starts it is k periods later.
    """
    base_us = next_us if waited and now_us - next_us <= CATCH_UP_US else max(next_us, now_us)
    early_us = now_us - base_us + (rate.burst - 1) * rate.period_us
    return Allowance(early_us // rate.period_us + 1 if early_us >= 0 else 0, base_us)


def opens_us(rate: Rate, next_us: int) -> int:
    """Return the instant at which the next start is allowed."""
    return next_us - (rate.burst - 1) * rate.period_us


OUTSTANDING_US: Final = 100_000
OUTSTANDING_MOST: Final = 20


def outstanding(rate: Rate) -> int:
    """Return how many jobs may have been let through and not be claimed: those of a tenth of a second, or the burst.

    While no worker asks, no more pile up before it, to start all at once when one comes.
    """
    return min(max(rate.burst, math.ceil(OUTSTANDING_US / rate.period_us)), OUTSTANDING_MOST)
