"""How many jobs a child asks for: as many as it runs in 50 ms, learned from those that it has run."""

from __future__ import annotations

from typing import Final

from django_jobs.execution.plan import Plan

HELD_SECONDS: Final = 0.05
"""Of work held by one child."""
SHORT_SECONDS: Final = 0.005
"""A task whose jobs take less on average is known to be short."""
MAX_CLAIM: Final = 1000
GROWTH: Final = 4
SHARE: Final = 0.2
"""Weight of the newest run in a running mean."""


class Pace:
    """Running means of how long jobs take here. Starts with one job at a time and grows fourfold per claim."""

    def __init__(self) -> None:
        self._mean_seconds: float | None = None
        self._allowed = 1

    def ran(self, plan: Plan, seconds: float) -> None:
        """Take in how long a job took."""
        mean = plan.run_seconds
        plan.run_seconds = seconds if mean is None else mean + SHARE * (seconds - mean)
        mean = self._mean_seconds
        if mean is None:
            self._mean_seconds = seconds
        else:
            # Half of the way up: after one long job few others are put behind the next.
            self._mean_seconds = mean + (0.5 if seconds > mean + HELD_SECONDS else SHARE) * (seconds - mean)

    def is_short(self, plan: Plan) -> bool:
        """Say whether outcomes may wait while a job of this task runs."""
        mean = plan.run_seconds
        return mean is not None and mean < SHORT_SECONDS

    def met_unknown(self) -> None:
        """Begin anew with one: a task was claimed that was never timed here."""
        self._allowed = 1

    def limit(self, *, runners: int, idle: int) -> int:
        """Return how many jobs of work to hold: for `runners` threads, of which `idle` have nothing to do."""
        mean = self._mean_seconds
        fitting = 0
        if mean is not None:
            fitting = MAX_CLAIM if mean <= HELD_SECONDS / MAX_CLAIM else int(runners * HELD_SECONDS / mean)
        return min(MAX_CLAIM, self._allowed, max(fitting, idle))

    @property
    def allowed(self) -> int:
        """How many jobs the next claim may have, whatever they take."""
        return self._allowed

    def came_full(self, limit: int) -> None:
        """Note that a claim of up to `limit` jobs came back full: the next one may be four times as large."""
        self._allowed = max(self._allowed, min(MAX_CLAIM, limit * GROWTH))
