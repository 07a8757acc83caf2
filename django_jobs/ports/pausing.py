"""The part of a broker with which people stop queues and tasks from being claimed, and let them go on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from django_jobs.core.pause import Pause


class Pausing(ABC):
    """Keeps pauses beside the jobs; see `ports.broker` for what holds for every method."""

    @abstractmethod
    def pause(self, *, queue: str | None = None, task: str | None = None, by: str = "", reason: str = "") -> bool:
        """Pause one queue or one task; False, and nothing changes, where it is paused already.

        Once this has answered, no claim that begins later takes a job of it, whichever way the job came or comes to
        wait: enqueued, due, retried, released, rescued, unparked, let in by its limit, suspect. Jobs that are claimed
        go on, and a repeated claim brings again what it brought. A paused job waits as any other does: it can be
        cancelled, holds its unique key, and ends EXPIRED at the first claim after it was resumed. It takes no place of
        a limit away from others: those that it has are given back, in this step or by the next `let_in`. Workers
        neither ask a paused queue nor look again and again at jobs of a paused task. It lasts until `resume`, whatever
        is started anew.

        Atomic: yes.
        Blocks: at most 3 s.

        Raises:
            ValueError: not exactly one of `queue` and `task` is given.
        """

    @abstractmethod
    def resume(self, *, queue: str | None = None, task: str | None = None) -> bool:
        """End a pause; False where it is not paused. Its jobs are claimed again, in their order, and waits are ended.

        A job whose queue and task are both paused waits for both.

        Atomic: the end of the pause. Jobs that were put aside return in steps, all before this answers; what is left
        by an error, a later `let_in` returns.
        Blocks: about a millisecond for each ten jobs that were put aside.

        Raises:
            ValueError: not exactly one of `queue` and `task` is given.
        """

    @abstractmethod
    def paused(self) -> Sequence[Pause]:
        """Return what is paused, queues first, by name."""
