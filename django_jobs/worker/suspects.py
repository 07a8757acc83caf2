"""When a child that is never idle holds back its claims, so that a suspect gets its turn alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
"""How long suspects are known to wait before a busy child makes room: an idle one takes them sooner."""
FIRST_QUIET_SECONDS: Final = 20.0
OPEN_FACTOR: Final = 3
"""After a quiet time in which the child did not become idle it claims for three times as long."""


class SuspectWatch:
    """Times in boot-clock seconds. A job that runs on and on costs its neighbours a quarter of their time at most:

    the quiet times double, 20 s, 40 s, ..., so that any job that ends at all lets a suspect through.
    """

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._quiet_from: float | None = None
        self._quiet_seconds = FIRST_QUIET_SECONDS

    def look(self, now: float, suspects_wait: Callable[[], bool]) -> None:
        """Find out, once a second at most, whether suspects wait."""
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if not suspects_wait():
            self.served()
        elif self._quiet_from is None:
            self._quiet_from = now + PATIENCE_SECONDS

    def is_quiet(self, now: float) -> bool:
        """Say whether nothing but a suspect is to be claimed now."""
        if self._quiet_from is None or now < self._quiet_from:
            return False
        if now < self._quiet_from + self._quiet_seconds:
            return True
        self._quiet_from = now + OPEN_FACTOR * self._quiet_seconds
        self._quiet_seconds *= 2
        return False

    def served(self) -> None:
        """Begin anew: this child has asked for a suspect, or none waits any more."""
        self._quiet_from = None
        self._quiet_seconds = FIRST_QUIET_SECONDS
