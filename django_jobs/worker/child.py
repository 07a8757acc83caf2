"""One process that runs jobs: its runner threads, its loop for coroutine jobs, and the way out."""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from django_jobs.core.outcome import Kind, Outcome
from django_jobs.execution.cancels import answering
from django_jobs.execution.executor import Executor
from django_jobs.execution.progress import Progresses, listening
from django_jobs.execution.shared import SharedConnections
from django_jobs.worker.clock import boot_seconds
from django_jobs.worker.coroutines import Coroutines
from django_jobs.worker.deadlines import Deadlines
from django_jobs.worker.deaths import cut_short
from django_jobs.worker.fetcher import Fetcher
from django_jobs.worker.followups import FollowUps
from django_jobs.worker.layout import Flag, Word
from django_jobs.worker.leave import Leave, Quota
from django_jobs.worker.processes import EXIT_BROKEN
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.report import Reporter
from django_jobs.worker.settle import HeldClaim
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.wake import Wake

logger = logging.getLogger("django_jobs.worker")


class Child:
    """Runs jobs until the worker stops or a limit is reached; made inside its own process."""

    def __init__(
        self,
        setup: WorkerSetup,
        *,
        session: str,
        incarnation: int,
        shared: Shared,
        slots: ChildSlots,
        wake: Wake,
        poke_supervisor: Callable[[], None],
    ) -> None:
        options, policy = setup.options, setup.policy
        self._runners = options.runners
        self._slots = slots
        self._shared = shared
        self._worker = f"{options.name}/{incarnation}"
        self._incarnation = incarnation
        self._broker = setup.open_broker()
        self._broker.while_waiting(lambda: slots.sign(boot_seconds()))
        self._plans = setup.plans()
        self._quota = Quota(
            max_jobs=options.max_jobs,
            max_jobs_per_child=options.max_jobs_per_child,
            max_memory_mib=options.max_memory_per_child,
        )
        random = Random()
        self._coroutines = Coroutines(self._run_coroutine, lambda place: Flag.TERMINATE in slots.cancel_of(place))
        self._executor = Executor(
            self._plans,
            worker=self._worker,
            keeps_results=policy.keeps_results,
            max_result_bytes=policy.max_result_bytes,
            random=random,
            limits=Deadlines(
                shared=shared,
                slots=slots,
                poke_supervisor=poke_supervisor,
                clock=boot_seconds,
                in_main_thread=options.interrupts_functions,
                cancel_coroutine=self._coroutines.cancel_one,
            ),
            around=setup.around,
            atomic_runs=self._broker.atomic_runs(lambda: shared.floats[Word.FENCE_AT] > boot_seconds()),
        )
        self.fetcher = Fetcher(
            broker=self._broker,
            plans=self._plans,
            shared=shared,
            slots=slots,
            session=session,
            incarnation=incarnation,
            order=QueueOrder(
                weights=options.queues,
                all_weights={name: values.get("weight", 1) for name, values in policy.queues.items()},
                excluded=options.excluded,
                random=random,
            ),
            reporter=Reporter(self._worker),
            quota=self._quota,
            wake=wake,
            random=random,
            runners=options.runners,
            coroutines=options.coroutines,
            burst=options.burst,
            default_queue=policy.default_queue,
            clock=boot_seconds,
        )
        self._follow_ups = FollowUps(self.fetcher, slots, self._executor.surroundings)
        self._shared_connections = SharedConnections()
        self._submit_lock = threading.Lock()
        self._progress_broker = functools.cache(setup.open_broker)
        self._progresses = Progresses(lambda notes: self._progress_broker().set_progress(notes))
        self.is_inside_job = False
        """Whether a runner runs a job; exact where there is only one runner."""

    def run(self) -> Leave:
        """Work in this thread and `runners - 1` others until there is a reason to leave; settles all that ended."""
        helper = threading.Thread(
            target=self._guard(self.fetcher.help_settling), name="django_jobs-settler", daemon=True
        )
        helper.start()
        with listening(self._worker, self._progresses), answering(self._worker, self._slots.is_cancelled):
            self._run_jobs()
        self.fetcher.close()
        helper.join()
        self._broker.close()
        return self.fetcher.leave or Leave.STOPPING

    def _run_jobs(self) -> None:
        others = [
            threading.Thread(target=self._guard(self.work), name=f"django_jobs-runner-{number}", daemon=True)
            for number in range(2, self._runners + 1)
        ]
        for thread in others:
            thread.start()
        self.work()
        for thread in others:
            thread.join()
        self.fetcher.wait_for_ends()
        self._follow_ups.wait()

    def work(self) -> None:
        """Run one job after the other until the fetcher gives none."""
        while (held := self.fetcher.next()) is not None:
            self.run_one(held)
            self._quota.check_memory()

    def run_one(self, held: HeldClaim) -> None:
        """Run a started job, or hand it to the loop, or refuse it."""
        claim, plan = held.claim, held.plan
        refused = self._executor.refuse(claim, plan)
        if plan is None or refused is not None:
            assert refused is not None  # without a plan the executor refuses
            self.fetcher.finish(held, refused, None)
        elif plan.is_async:
            with self._submit_lock:
                self._coroutines.submit(held)
        else:
            begun = time.perf_counter()
            self.is_inside_job = True
            try:
                outcome = self._executor.run(claim, plan, held.index)
            except KeyboardInterrupt:
                if not self._shared.stopping:
                    raise  # the job's own: it ends the process, as it would end a script
                outcome = self._interrupted(held, time.perf_counter() - begun)
            finally:
                self.is_inside_job = False
            if self._progresses.said:
                self._progresses.end(claim.message.id)
            self.fetcher.finish(held, outcome, time.perf_counter() - begun)
            if plan.hooks is not None:
                self._follow_ups.run(held, outcome)

    def cancel_coroutines(self) -> None:
        """Raise CancelledError in every coroutine job, at its next await; called from any thread."""
        self._coroutines.cancel()

    async def _run_coroutine(self, held: HeldClaim) -> None:
        plan = held.plan
        assert plan is not None
        await self._shared_connections.before_job(held.claim)
        begun = time.perf_counter()
        inside = self._coroutines.inside
        inside.add(held.index)
        try:
            outcome = await self._executor.run_async(held.claim, plan, held.index)
        except asyncio.CancelledError as error:
            seconds = time.perf_counter() - begun
            if Flag.TERMINATE in self._slots.cancel_of(held.index):
                outcome = self._executor.cancelled(held.claim, error, time.time_ns() // 1000 - int(seconds * 1e6))
            else:
                outcome = self._interrupted(held, seconds)
        except KeyboardInterrupt:
            os._exit(EXIT_BROKEN)
        finally:
            inside.discard(held.index)
        self._shared_connections.after_job(held.claim)
        if held.claim.message.id in self._progresses.said:
            await asyncio.to_thread(self._progresses.end, held.claim.message.id)
        self.fetcher.finish(held, outcome, time.perf_counter() - begun)
        if plan.hooks is not None:
            await self._follow_ups.run_async(held, outcome)

    def _interrupted(self, held: HeldClaim, seconds: float) -> Outcome:
        """Return the outcome of a job that was made to give way to a stop after `seconds`."""
        claim, plan = held.claim, held.plan
        ended_us = time.time_ns() // 1000
        return cut_short(
            Outcome(
                id=claim.message.id,
                name=claim.name,
                attempt=claim.attempt,
                kind=Kind.RELEASED,
                worker=self._worker,
            ),
            cause="interrupted",
            message=f"The worker stopped and interrupted the job after {seconds:.1f} s.",
            at_most_once=plan is not None and not plan.options.acks_late,
            started_us=ended_us - int(seconds * 1_000_000),
            ended_us=ended_us,
        )

    def _guard(self, target: Callable[[], None]) -> Callable[[], None]:
        """Return `target` such that an error ends the process: a child that has lost a thread must be replaced."""

        def run() -> None:
            try:
                target()
            except BaseException:
                logger.critical(
                    "A thread of child %d has failed; the child is replaced.", self._incarnation, exc_info=True
                )
                os._exit(EXIT_BROKEN)

        return run


def child_main(
    setup: WorkerSetup,
    *,
    session: str,
    incarnation: int,
    shared: Shared,
    slots: ChildSlots,
    wake: Wake,
    poke_supervisor: Callable[[], None],
) -> int:
    """Run a child in this freshly forked process; return its exit code."""
    prepare_signals()
    child = Child(
        setup,
        session=session,
        incarnation=incarnation,
        shared=shared,
        slots=slots,
        wake=wake,
        poke_supervisor=poke_supervisor,
    )
    return int(child.run())


def prepare_signals() -> None:
    """Leave stopping to the supervisor: a terminal or an init system signals every process of the group.

    A handler that does nothing, not SIG_IGN: programs that a job starts would inherit that.
    """
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _do_nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    dump_stacks_on_quit()


def dump_stacks_on_quit() -> None:
    """Make SIGQUIT, and signals that kill, write every thread's stack to stderr, where there is one."""
    with suppress(AttributeError, ValueError, OSError):  # no stderr, or one that is no file
        faulthandler.enable()
        faulthandler.register(signal.SIGQUIT, all_threads=True, chain=False)


def _do_nothing(number: int, frame: object) -> None:
    """Take the signal."""
