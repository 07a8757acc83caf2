"""The worker's first process: forks the keeper and the children, watches and replaces them, stops them.

It has no thread and no connection, and forks from its main thread only. What it learns about a dead child goes to
the keeper through the child's block of the shared memory; the block is free again once the keeper has settled it.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Final

from django_jobs.signals import worker_started, worker_stopped
from django_jobs.worker.backoff import Pause
from django_jobs.worker.child import prepare_signals
from django_jobs.worker.children import Children
from django_jobs.worker.clock import boot_seconds
from django_jobs.worker.companion import Companion
from django_jobs.worker.deaths import describe_status
from django_jobs.worker.enforcer import Enforcer
from django_jobs.worker.keeper import Keeper
from django_jobs.worker.layout import Word
from django_jobs.worker.processes import Tie, ended, fork, kill, wait_for
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import Shared
from django_jobs.worker.stacks import Stacks
from django_jobs.worker.wake import Wake

logger = logging.getLogger("django_jobs.worker")

LOOP_SECONDS: Final = 0.5
KEEPER_SECONDS: Final = 5.0
"""A keeper without a sign for so long is replaced."""
DUMP_SECONDS: Final = 0.1
"""For one process to write its stacks before the next one does."""
CLOSING_SECONDS: Final = 2.5
"""For the keeper to settle and close the session after the last child has ended."""
EXIT_TWICE: Final = 130
"""A second SIGINT or SIGTERM: stopped at once."""


class Supervisor:
    """One worker. `on_ready` is called once, when the broker has answered a child for the first time."""

    def __init__(self, setup: WorkerSetup, *, on_ready: Callable[[], None] = lambda: None) -> None:
        self._setup = setup
        self._on_ready: Callable[[], None] | None = on_ready
        self._policy = setup.policy
        self._options = setup.options
        # Twice as many blocks as children: a dead child's block is kept until the keeper has settled it.
        self._shared = Shared(2 * setup.options.most_children, setup.options.size)
        self._shared.words[Word.CHILDREN] = setup.options.children
        self._wake = Wake()
        self._keeper_wake = Wake()
        self._tie = Tie()
        self._children = Children(
            setup, self._shared, self._tie, poke_supervisor=self._wake.poke, poke_keeper=self._keeper_wake.poke
        )
        self._beat = Companion("beat", setup.beat, self._tie) if setup.beat is not None else None
        self._keeper: int | None = None
        self._keeper_forked_at = 0.0
        self._keeper_pause = Pause()
        self._enforcer = Enforcer(self._shared, cancel_grace_seconds=self._policy.cancel_grace_seconds)
        self._stacks = Stacks()
        self._session = ""
        self._stop_requests = 0
        self._stop_at: float | None = None
        self._quits = 0
        self._to_dump: list[int] = []
        """Processes that are still to write their stacks."""

    def run(self) -> int:
        """Work until stopped, drained or at a limit; return the exit code."""
        if threading.active_count() > 1:
            logger.warning(
                "Other threads run in this process (%s); a fork copies their locks, but not them. Start threads in "
                "jobs, not when Django starts.",
                ", ".join(thread.name for thread in threading.enumerate() if thread is not threading.main_thread()),
            )
        self._take_signals()
        self._begin_session()
        worker_started.send_robust(sender=self._options.name, session=self._session)
        gc.collect()
        gc.freeze()  # what Django has loaded stays shared between the processes
        while not self._is_over():
            self._step()
            self._wake.wait(self._loop_seconds())
            self._wake.drain()
        code = self._finish()
        worker_stopped.send_robust(sender=self._options.name, session=self._session, exit_code=code)
        return code

    # -- the loop ----------------------------------------------------------------------------------------------

    def _loop_seconds(self) -> float:
        limit = self._enforcer.seconds_left(boot_seconds())
        longest = min(LOOP_SECONDS, self._policy.session_timeout_seconds / 10, limit)
        if self._to_dump:
            longest = min(longest, DUMP_SECONDS)
        if self._stop_at is None:
            return longest
        return max(0.0, min(longest, self._stop_at - boot_seconds()))

    def _step(self) -> None:
        now = boot_seconds()
        self._shared.floats[Word.SUPERVISOR_SIGN] = now
        self._heed_signals(now)
        self._reap(now)
        if self._session_is_lost(now):
            self._begin_again()
            return
        self._watch_keeper(now)
        if self._beat is not None:
            self._beat.watch(now)
        if self._on_ready is not None and self._children.has_answer:
            self._on_ready()
            self._on_ready = None
        self._children.watch(now)
        self._enforcer.watch(self._children.living, now)
        if self._stop_at is None:
            self._children.refill(self._session, now)
        elif now >= self._stop_at:
            self._children.kill_all(now)

    def _is_over(self) -> bool:
        return self._children.are_done or (self._stop_at is not None and not self._children.living)

    def _family(self) -> list[int]:
        return [child.pid for child in self._children.living] + ([self._keeper] if self._keeper is not None else [])

    def _begin_session(self) -> None:
        self._session = uuid.uuid4().hex
        self._shared.reset()
        self._shared.floats[Word.SUPERVISOR_SIGN] = boot_seconds()
        self._fork_keeper(boot_seconds())

    def _begin_again(self) -> None:
        """Kill all that runs, wait for it, and start under a new session: the old one's jobs belong to others."""
        self._children.kill_all(boot_seconds())
        self._kill_keeper()
        if self._stop_at is None:
            logger.warning("The worker goes on with a new session.")
            self._begin_session()

    def _session_is_lost(self, now: float) -> bool:
        if self._shared.words[Word.DEAD]:
            return True
        limit = self._policy.session_fence_seconds
        renewed_at = self._shared.floats[Word.RENEWED_AT]
        if limit is None or not renewed_at or now - renewed_at <= limit:
            return False
        logger.error(
            "The session was not renewed for %.1f s (SESSION_FENCE_SECONDS is %g): what runs is killed.",
            now - renewed_at,
            limit,
        )
        return True

    # -- signals -----------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only for the wakeup pipe
        signal.signal(signal.SIGQUIT, self._on_quit)
        signal.set_wakeup_fd(self._wake.write_fd, warn_on_full_buffer=False)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _on_quit(self, number: int, frame: FrameType | None) -> None:
        self._quits += 1

    def _heed_signals(self, now: float) -> None:
        if self._quits:
            self._quits = 0
            faulthandler.dump_traceback(all_threads=True)
            self._to_dump = self._family()
        elif self._to_dump and (pid := self._to_dump.pop(0)) in self._family():
            os.kill(pid, signal.SIGQUIT)  # one per step: what several write at once to one stderr, nobody can read
        if self._options.reloader_pid is not None and os.getppid() != self._options.reloader_pid:
            self._stop_requests = max(1, self._stop_requests)
        if self._shared.words[Word.STOP_ORDERED]:
            self._stop_requests = max(1, self._stop_requests)
        if self._stop_requests and self._stop_at is None:
            self._stop(now)
        if self._stop_requests > 1 and self._stop_at is not None:
            self._stop_at = min(self._stop_at, now)

    def _stop(self, now: float) -> None:
        self._stop_at = now + self._options.grace_seconds
        self._shared.stopping = True
        if self._beat is not None:
            self._beat.stop()
        self._children.poke()
        running = self._children.running_jobs
        logger.info(
            "Stopping: %s. A second signal stops at once.",
            f"{running} running jobs have {self._options.grace_seconds:g} s" if running else "no job runs",
        )

    # -- the keeper --------------------------------------------------------------------------------------------

    def _reap(self, now: float) -> None:
        self._children.reap(now)
        if self._keeper is not None and (status := ended(self._keeper)) is not None:
            self._keeper = None
            self._keeper_pause.ended(lived_seconds=now - self._keeper_forked_at, now=now)
            self._free_locks()
            if not self._shared.words[Word.CLOSING]:
                logger.error("The keeper has ended (%s); it is replaced.", describe_status(status))

    def _watch_keeper(self, now: float) -> None:
        if self._keeper is None:
            if now >= self._keeper_pause.until:
                self._fork_keeper(now)
            return
        sign = max(self._shared.floats[Word.KEEPER_SIGN], self._keeper_forked_at)
        if now - sign > KEEPER_SECONDS:
            logger.error("The keeper gave no sign for %.0f s; it is killed and replaced.", now - sign)
            self._kill_keeper()
            self._fork_keeper(now)

    def _fork_keeper(self, now: float) -> None:
        self._keeper_forked_at = now
        session = self._session

        def main() -> int:
            prepare_signals()
            keeper = Keeper(
                self._setup,
                session=session,
                shared=self._shared,
                wake=self._keeper_wake,
                poke_supervisor=self._wake.poke,
                poke_children=self._children.poke,
                stacks=self._stacks,
                clock=boot_seconds,
                random=Random(),
            )
            return keeper.run()

        self._keeper = fork(self._tie, main)

    def _kill_keeper(self) -> None:
        if self._keeper is not None:
            kill(self._keeper)
            wait_for(self._keeper)
            self._keeper = None
            self._free_locks()

    def _free_locks(self) -> None:
        for slots in self._shared.children:
            slots.break_lock()

    # -- the end -----------------------------------------------------------------------------------------------

    def _finish(self) -> int:
        """Let the keeper settle what is left and close the session; return the exit code."""
        self._shared.words[Word.CLOSING] = 1
        self._keeper_wake.poke()
        deadline = boot_seconds() + CLOSING_SECONDS
        while self._keeper is not None and (now := boot_seconds()) < deadline:
            self._shared.floats[Word.SUPERVISOR_SIGN] = now
            self._reap(now)
            if self._keeper is not None:
                self._wake.wait(min(0.1, deadline - now))
                self._wake.drain()
        self._kill_keeper()
        if self._beat is not None:
            self._beat.finish()  # a tick that it fires just now is committed, or rolls back and is another beat's
        logger.info("Stopped.")
        return EXIT_TWICE if self._stop_requests > 1 else 0
