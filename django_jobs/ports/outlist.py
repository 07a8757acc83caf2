"""The part of a broker that keeps results on their way to a store that is not its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django_jobs.core.outcome import StoredResult


class OutList:
    """Of brokers that do not hold results; see `ports.broker` for what holds for every method."""

    holds_results: bool = True
    """Whether the settle step writes results where the result store reads them. Where it cannot, since that is another
    store, it puts them on an out-list in the same step, and workers copy them: `leaving`, then `strike`."""

    def leaving(self, limit: int) -> Sequence[StoredResult]:
        """Return at most `limit` results that the result store has still to take; another call shows others first."""
        return ()

    def leaving_of(self, job_ids: Collection[str]) -> Mapping[str, StoredResult]:
        """Return what is on the out-list of `job_ids`, by id."""
        return {}

    def strike(self, results: Sequence[StoredResult]) -> int:
        """Take off the out-list what the result store has; return how many. A later attempt of an id stays."""
        return 0
