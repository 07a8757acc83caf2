"""The clock of everything inside one worker: seconds since boot, which go on while the machine sleeps."""

from __future__ import annotations

import time
from typing import Final

_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def boot_seconds() -> float:
    """Return seconds since boot; the same in all processes. macOS and Windows have the monotonic clock only."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
