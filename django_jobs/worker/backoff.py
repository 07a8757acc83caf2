"""How long to wait before trying again: a store that does not answer, a process that ends as soon as it starts."""

from __future__ import annotations

import logging
from random import Random
from typing import Final

logger = logging.getLogger("django_jobs.worker")

FIRST_SECONDS: Final = 0.1
LAST_SECONDS: Final = 2.5
"""So that work goes on within 3 s of the store's return."""
YOUNG_SECONDS: Final = 2.0
"""A process that ends by itself within this time is replaced with growing pauses."""
LONGEST_PAUSE_SECONDS: Final = 5.0


class Backoff:
    """Counts failures in a row; the wait doubles from 0.1 to 2.5 s, less up to half of it at random.

    It logs once per change: that the store cannot be reached, and that it can be again.
    """

    def __init__(self, what: str, random: Random) -> None:
        self._what = what
        self._random = random
        self._failures = 0

    def failed(self, error: Exception) -> float:
        """Return the seconds to wait after one more failure."""
        if not self._failures:
            logger.warning("%s cannot reach the broker and goes on trying: %s", self._what, error)
        seconds: float = min(LAST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return seconds * self._random.uniform(0.5, 1.0)

    def worked(self) -> bool:
        """Begin anew after a success; say whether it was the first after failures."""
        if not self._failures:
            return False
        logger.info("%s reaches the broker again.", self._what)
        self._failures = 0
        return True


class Pause:
    """Growing pauses between forks of a process that ends at once, again and again."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0

    def ended(self, *, lived_seconds: float, now: float) -> None:
        """Take in that a process has ended by itself."""
        if lived_seconds >= YOUNG_SECONDS:
            self._failures = 0
            return
        self.until = now + min(LONGEST_PAUSE_SECONDS, 0.1 * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
