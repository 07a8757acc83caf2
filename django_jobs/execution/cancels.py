"""What a running job can know of a request to cancel it: asked of its worker, which hears of it within a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Asker = Callable[[str, int], bool]
"""Says of (job id, attempt) whether its cancel is requested."""
_by_worker: dict[str, Asker] = {}


def is_cancelled(worker: str, job_id: str, attempt: int) -> bool:
    """Ask the worker that runs the job; one that runs at the call is never cancelled."""
    asker = _by_worker.get(worker)
    return asker is not None and asker(job_id, attempt)


@contextmanager
def answering(worker: str, asker: Asker) -> Iterator[None]:
    """Answer jobs that run in this process under the name of `worker`."""
    _by_worker[worker] = asker
    try:
        yield
    finally:
        del _by_worker[worker]
