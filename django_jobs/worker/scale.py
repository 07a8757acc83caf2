"""How many children a worker with --autoscale is to have: grown quickly, shrunk slowly; only decided here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

GROW_LOOKS: Final = 2
"""So many looks in a row find every child busy and jobs waiting: a heap that is gone in a moment needs nobody."""
SHRINK_SECONDS: Final = 20.0
"""A child that nobody has needed for so long is one too many."""
STEP_SECONDS: Final = 5.0
"""Between two that are let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at `now`, in seconds of any steady clock."""

    now: float
    children: int
    """Wanted until now."""
    busy: int
    """Of them, that had something to do since the last look."""
    jobs_wait: bool
    """Whether something is due that nobody has claimed; only told apart where all are busy."""


class Scale:
    """Remembers what was busy lately, between `least` and `most` children."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._full_looks = 0
        self._busy: deque[tuple[float, int]] = deque()
        self._let_go_at = float("-inf")

    def decide(self, look: Look) -> int:
        """Return how many children there are to be from now on."""
        if look.busy >= look.children and look.jobs_wait:
            self._full_looks += 1
        else:
            self._full_looks = 0
        self._remember(look)
        if self._full_looks >= GROW_LOOKS and look.children < self._most:
            self._busy.clear()  # how busy fewer were says nothing about more
            return min(self._most, 2 * look.children)
        if self._spares_one(look):
            self._let_go_at = look.now
            return look.children - 1
        return max(self._least, min(self._most, look.children))

    def _remember(self, look: Look) -> None:
        self._busy.append((look.now, look.busy))
        # The oldest that stays is the one that makes the window whole.
        while len(self._busy) > 1 and self._busy[1][0] <= look.now - SHRINK_SECONDS:
            self._busy.popleft()

    def _spares_one(self, look: Look) -> bool:
        if look.children <= self._least or look.now - self._let_go_at < STEP_SECONDS:
            return False
        if look.now - self._busy[0][0] < SHRINK_SECONDS:
            return False
        return max(busy for _, busy in self._busy) < look.children
