"""The pool without children: this process runs the jobs, with the terminal for breakpoint(); the keeper is a thread."""

from __future__ import annotations

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable
from random import Random
from types import FrameType

from django_jobs.signals import worker_started, worker_stopped
from django_jobs.worker.child import Child, dump_stacks_on_quit
from django_jobs.worker.clock import boot_seconds
from django_jobs.worker.enforcer import Enforcer, Running
from django_jobs.worker.keeper import Keeper
from django_jobs.worker.layout import ChildWord, Death, Word
from django_jobs.worker.leave import Leave
from django_jobs.worker.processes import EXIT_BROKEN
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import Shared
from django_jobs.worker.stacks import Stacks
from django_jobs.worker.wake import Wake

logger = logging.getLogger("django_jobs.worker")

LAST_SECONDS = 2.0
"""After the grace: for the interrupted job to give way, before the process ends under it."""


class Solo:
    """One worker in one process. A job that keeps the GIL for long stops renewals: this is for development."""

    def __init__(self, setup: WorkerSetup, *, on_ready: Callable[[], None] = lambda: None) -> None:
        self._setup = setup
        self._on_ready = on_ready
        self._shared = Shared(1, setup.options.size)
        self._slots = self._shared.children[0]
        self._wake = Wake()
        self._keeper_wake = Wake()
        self._session = uuid.uuid4().hex
        self._requests = 0
        self._child: Child | None = None
        self._stacks = Stacks()

    def run(self) -> int:
        """Work until stopped, drained or at a limit; return the exit code."""
        self._take_signals()
        keeper = threading.Thread(target=self._keep, name="django_jobs-keeper")
        keeper.start()
        worker_started.send_robust(sender=self._setup.options.name, session=self._session)
        self._slots.reset(pid=os.getpid(), incarnation=1)
        code = EXIT_BROKEN
        try:
            code = self._work()
        finally:
            if code:
                self._slots.set(ChildWord.DEATH_STATUS, code << 8)
                self._slots.set(ChildWord.DEATH, Death.CRASHED)
            self._shared.words[Word.CLOSING] = 1
            self._keeper_wake.poke()
            keeper.join()
            worker_stopped.send_robust(sender=self._setup.options.name, session=self._session, exit_code=code)
        return code

    def _work(self) -> int:
        incarnation = 1
        self._child = self._make_child(1)
        while self._child.run() is Leave.RECYCLED and not self._shared.stopping:
            incarnation += 1
            self._slots.reset(pid=os.getpid(), incarnation=incarnation)
            self._child = self._make_child(incarnation)
        return 0

    def _make_child(self, incarnation: int) -> Child:
        return Child(
            self._setup,
            session=self._session,
            incarnation=incarnation,
            shared=self._shared,
            slots=self._slots,
            wake=self._wake,
            poke_supervisor=self._keeper_wake.poke,
        )

    def _keep(self) -> None:
        keeper = Keeper(
            self._setup,
            session=self._session,
            shared=self._shared,
            wake=self._keeper_wake,
            poke_supervisor=self._wake.poke,
            poke_children=self._wake.poke,
            stacks=self._stacks,
            clock=boot_seconds,
            random=Random(),
        )
        enforcer, process = Enforcer(self._shared, kills=False), Running(pid=os.getpid(), slots=self._slots)
        ready = False
        while not self._shared.words[Word.CLOSING]:
            self._shared.floats[Word.SUPERVISOR_SIGN] = boot_seconds()
            enforcer.watch([process], boot_seconds())
            keeper.sleep(min(keeper.step(), enforcer.seconds_left(boot_seconds())))
            if not ready and self._slots[ChildWord.ANSWERS]:
                ready = True
                self._on_ready()
            if self._shared.words[Word.STOP_ORDERED] and not self._shared.stopping:
                os.kill(os.getpid(), signal.SIGTERM)
            if self._shared.words[Word.DEAD]:
                logger.critical("The session is dead and its job cannot be killed apart: the process ends.")
                os._exit(EXIT_BROKEN)
        keeper.finish()

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        dump_stacks_on_quit()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._requests += 1
        self._shared.stopping = True
        self._wake.poke()
        if self._requests == 1:
            grace = threading.Timer(self._setup.options.grace_seconds, self._interrupt)
            grace.daemon = True
            grace.start()
        elif self._child is not None:
            self._child.cancel_coroutines()
            if self._child.is_inside_job:
                raise KeyboardInterrupt

    def _interrupt(self) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        last = threading.Timer(LAST_SECONDS, os._exit, args=(0,))
        last.daemon = True
        last.start()
