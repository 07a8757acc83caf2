"""What keeps ended jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import NamedTuple

from django_jobs.core.outcome import StoredResult
from django_jobs.core.states import State


class OldResults(NamedTuple):
    """A look at old results."""

    rows: tuple[tuple[str, str], ...]
    """(id, task) of each; what has been forgotten meanwhile is missing."""
    place: str
    """Opaque: where the look ended. Give it to the next one as `after`."""
    more: bool
    """Whether there may be more beyond it."""


class ResultStore(ABC):
    """Keeps what ended jobs came to. A row takes only a higher attempt; repeating a write changes nothing."""

    @abstractmethod
    def save_many(self, results: Sequence[StoredResult]) -> None:
        """Keep `results`.

        Atomic: all or nothing. A stored row of the same or a higher attempt stays.

        Raises:
            BrokerUnavailable: the store cannot be reached; repeat the call.
        """

    def copy(self, limit: int) -> int:
        """Take in at most `limit` results of the broker's out-list, where it has one; return how many.

        Atomic: a result is struck from the list only once it is kept; repeating it changes nothing.

        Raises:
            BrokerUnavailable: one of the two stores cannot be reached; repeat the call.
        """
        return 0

    @abstractmethod
    def load_many(self, job_ids: Collection[str]) -> dict[str, StoredResult]:
        """Return what is stored of `job_ids`, by id."""

    @abstractmethod
    def wait(self, job_ids: Collection[str], timeout_seconds: float) -> None:
        """Return when one of `job_ids` may have ended, or after the timeout. A hint only."""

    @abstractmethod
    def forget(self, job_ids: Collection[str]) -> int:
        """Drop what is stored of `job_ids`; return how many there were. Their marks stay."""

    @abstractmethod
    def prune(self, *, statuses: Collection[State], older_than_seconds: float, limit: int = 1000) -> int:
        """Drop at most `limit` results of `statuses` that ended longer ago; return how many."""

    @abstractmethod
    def old_successes(self, *, older_than_seconds: float, after: str = "", limit: int = 1000) -> OldResults:
        """Return about `limit` successes that ended longer ago, oldest first, beyond `after`, an earlier look's place.

        A success is final, so that whoever forgets one of these forgets nothing newer.
        """
