"""What keeps limits of time, as the executor sees it: whoever runs jobs in processes of its own brings one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum


class Cancel(Enum):
    """What is asked of a running job."""

    NONE = 0
    REQUESTED = 1
    """It may end itself, by `JobCancelled`."""
    TERMINATED = 2
    """It is made to end: whatever it raises, it was cancelled."""


class Limits(ABC):
    """Told when a job with limits begins and ends. `place` is where the job stands in the table of its process."""

    @abstractmethod
    def begin(self, place: int, *, soft_seconds: float | None, hard_seconds: float | None) -> None:
        """Start the clocks of a job."""

    @abstractmethod
    def arm(self, place: int, soft_seconds: float | None) -> None:
        """Let the soft limit be raised in this thread, from here on until `disarm`."""

    @abstractmethod
    def disarm(self) -> None:
        """Raise no soft limit any more: the function has been left."""

    @abstractmethod
    def end(self, place: int) -> None:
        """Stop the clocks of a job."""

    def cancel_of(self, place: int) -> Cancel:
        """Say whether somebody has asked for the end of the job at this place."""
        return Cancel.NONE
