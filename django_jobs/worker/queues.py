"""In which order one claim asks the queues: drawn at random by weight, so that no queue starves another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final

REFRESH_SECONDS: Final = 1.0


class QueueOrder:
    """Draws the order of the queues for each claim; without `weights` of all queues that hold something due."""

    def __init__(
        self,
        *,
        weights: Mapping[str, int] | None,
        all_weights: Mapping[str, int],
        excluded: frozenset[str],
        random: Random,
    ) -> None:
        self._weights = weights
        self._all_weights = all_weights
        self.excluded = excluded
        self._random = random
        self._ready: tuple[str, ...] = ()
        self._refreshed_at = float("-inf")

    @property
    def names(self) -> frozenset[str] | None:
        """The queues to wait for; None for any."""
        if self._weights is None:
            return None
        return frozenset(self._weights) - self.excluded

    def needs_refresh(self, now: float) -> bool:
        """Say whether `refresh` is due while claims bring jobs; never with `--queues`."""
        return self._weights is None and now - self._refreshed_at >= REFRESH_SECONDS

    @property
    def knows_any(self) -> bool:
        """Whether there is a queue to ask without looking first."""
        return self._weights is not None or bool(self._ready)

    def refresh(self, ready_queues: Callable[[], Iterable[str]], now: float) -> bool:
        """Take in which queues hold something and say whether any does; `now` in seconds of any steady clock.

        Where none does, those of the last time stay: the next job is most likely one of theirs.
        """
        ready = tuple(name for name in ready_queues() if name not in self.excluded)
        self._ready = ready or self._ready
        self._refreshed_at = now
        return bool(ready)

    def serves(self, queues: Iterable[str]) -> bool:
        """Say whether any of `queues` is one that this worker asks."""
        names = self.names
        return any(queue in names if names is not None else queue not in self.excluded for queue in queues)

    def draw(self) -> tuple[str, ...]:
        """Return the queues in the order of one claim."""
        if self._weights is None:
            names, weights = self._ready, self._all_weights
        else:
            names, weights = tuple(name for name in self._weights if name not in self.excluded), self._weights
        if len(names) < 2:
            return names
        # Efraimidis and Spirakis: sorting by random ** (1 / weight) draws without replacement by weight.
        random = self._random.random
        return tuple(sorted(names, key=lambda name: random() ** (1.0 / weights.get(name, 1)), reverse=True))
