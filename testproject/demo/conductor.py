"""Runs the demo from the first line to the last: database, audit, worker, progress, table, site."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import FrameType
from typing import Final

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from django_jobs.exceptions import BrokerUnavailable, JobsError
from testproject.demo import database_server, dispatch, environment, places, runs
from testproject.demo.errors import DemoError, one_line
from testproject.demo.models import AuditRun
from testproject.demo.progress import Progress
from testproject.demo.report import Report, headline
from testproject.demo.site import USER, DemoSite, make_login
from testproject.demo.summary import complaints, printable, table
from testproject.demo.tasks import schedule_repeats
from testproject.demo.worker import DemoWorker

POLL_SECONDS: Final = 0.1
STALL_SECONDS: Final = 3.0
"""No verdict for so long: look whether a job has ended without one."""
OUTAGE_SECONDS: Final = 60.0
"""A database that is gone for longer ends the command; the audit goes on at the next start."""


class Terminated(KeyboardInterrupt):
    """Raised by SIGTERM and SIGHUP: as Ctrl-C, with another exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command was asked for."""

    paths: Sequence[str] = ()
    fresh: bool = False
    serve: bool = False
    port: int = 8000


class Conductor:
    """One start of the demo. `say` writes a line; `make_progress` is given the number of distributions."""

    def __init__(self, wishes: Wishes, *, say: Callable[[str], None], make_progress: Callable[[int], Progress]) -> None:
        self._wishes = wishes
        self._say = say
        self._make_progress = make_progress

    def run(self) -> int:
        """Do it all; return the exit code: 0 sound, 1 not, 128 + the signal's number when it was interrupted.

        Raises:
            DemoError: it cannot go on; what is done stays done.
        """
        with sigterm_interrupts():
            try:
                return self._run()
            except KeyboardInterrupt as interrupt:
                self._say("Interrupted. What is done stays done: run the same command again to go on.")
                return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
            except (OperationalError, InterfaceError, JobsError) as error:
                raise DemoError(f"{one_line(error)}. What is done stays done: run the same command again.") from error

    def _run(self) -> int:
        where = self._environment()
        self._say(f"Database  {database_server.prepare()}")
        began_at = timezone.now()
        with ExitStack() as processes:
            site = self._start_site(processes) if self._wishes.serve else None
            started = dispatch.start(where, fresh=self._wishes.fresh)
            run = started.run
            verb = "Goes on" if started.is_resumed else "Audit  "
            self._say(f"{verb}   {run.pk}, {run.expected} distributions in {printable(run.prefix)} ({run.python})")
            progress = self._make_progress(run.expected)
            if site is not None:
                schedule_repeats(where)
            worker = self._start_worker(processes, where, progress)
            processes.push(self._say_if_interrupted(progress))
            Watch(run, worker=worker, progress=progress).until_done()
            progress.clear()
            is_sound = self._conclude(run, began_at)
            if site is not None:
                self._serve(site, worker)
        return 0 if is_sound else 1

    def _environment(self) -> environment.Environment:
        try:
            return environment.current(self._wishes.paths)
        except NotADirectoryError as error:
            raise DemoError(f"{str(error)!r} is not a directory. Give --path a directory as in sys.path.") from error

    def _start_site(self, processes: ExitStack) -> DemoSite:
        site = DemoSite(port=self._wishes.port)
        processes.callback(site.stop)
        password = make_login()
        site.wait_until_it_answers()
        self._say(f"Site      {site.url}admin/ user {USER}, password {password} (shown this once)")
        return site

    def _start_worker(self, processes: ExitStack, where: environment.Environment, progress: Progress) -> DemoWorker:
        queue = environment.queue_name(where.scope)
        worker = DemoWorker(queue=queue, takes_all=self._wishes.serve, say=progress.message)
        processes.callback(worker.stop)
        self._say(f"Worker    pid {worker.pid}, says more in {places.shown(places.logs() / 'worker.log')}")
        return worker

    def _say_if_interrupted(self, progress: Progress) -> Callable[..., None]:
        """Return what the stack of processes does before it stops the first of them."""

        def say(kind: type[BaseException] | None, *_: object) -> None:
            progress.clear()
            if kind is not None and issubclass(kind, KeyboardInterrupt):
                self._say("Stopping the worker: what runs may end, for 25 s at most. Ctrl-C again stops it at once.")

        return say

    def _conclude(self, run: AuditRun, began_at: datetime) -> bool:
        """Print the table; say whether everything is as it was installed."""
        run.refresh_from_db()
        finished_at = run.finished_at or timezone.now()
        report = runs.load_report(run, finished_at=finished_at)
        jobs, first_at = runs.work_since(run.pk, began_at)
        seconds = max(0.0, (finished_at - (first_at or began_at)).total_seconds())
        self._print(report, seconds=seconds, jobs=jobs + 1)
        return report.totals.is_sound

    def _print(self, report: Report, *, seconds: float, jobs: int) -> None:
        page, data = places.report_files(report.run)
        files = [("Report", page), ("", data), ("Mail", places.mail())]
        self._say("")
        for line in table(report, seconds=seconds, jobs=jobs, places=[(name, places.shown(p)) for name, p in files]):
            self._say(line)
        self._say("")
        for line in complaints(report):
            self._say(f"  {line}")
        self._say(f"{headline(report.totals)}.")

    def _serve(self, site: DemoSite, worker: DemoWorker) -> None:
        """Stay until Ctrl-C, which is the good end here."""
        self._say("The audit is repeated each minute, until its schedule is paused.")
        self._say(f"The site is at {site.url} and the worker takes jobs. Ctrl-C ends both.")
        try:
            while True:
                worker.wait(1.0)
                site.check()
        except KeyboardInterrupt:
            self._say("Stopping.")


class Watch:
    """Follows one audit to its end."""

    def __init__(self, run: AuditRun, *, worker: DemoWorker, progress: Progress) -> None:
        self._run = run
        self._worker = worker
        self._progress = progress
        self._seen: runs.Snapshot | None = None
        self._changed_at = self._looked_at = time.monotonic()
        self._lost_at: float | None = None

    def until_done(self) -> None:
        """Return when the report is written.

        Raises:
            DemoError: the audit is gone, the database stays away, or the worker cannot work.
        """
        while not self._step(time.monotonic()):
            self._worker.wait(POLL_SECONDS)

    def _step(self, now: float) -> bool:
        try:
            seen = runs.snapshot(self._run.pk)
            if self._lost_at is not None:
                self._progress.message("The database is back.")
                self._lost_at = None
            return self._follow(seen, now)
        except (OperationalError, InterfaceError, BrokerUnavailable) as error:
            self._bear_outage(error, now)
            return False

    def _follow(self, seen: runs.Snapshot | None, now: float) -> bool:
        if seen is None:
            raise DemoError("This audit was dropped by another `demo --fresh`. Run the command again to begin anew.")
        if seen != self._seen:
            if self._seen is not None:
                self._worker.progressed()
            self._seen, self._changed_at = seen, now
        elif now - max(self._changed_at, self._looked_at) >= STALL_SECONDS:
            self._looked_at = now
            dispatch.look_after(self._run)
        self._progress.update(seen.done, self._note(seen, now), now=now)
        return seen.state == AuditRun.State.DONE

    def _note(self, seen: runs.Snapshot, now: float) -> str:
        if self._worker.was_killed and now - self._changed_at >= STALL_SECONDS:
            return "waiting for a killed worker's jobs"
        return "writing the report" if seen.state == AuditRun.State.REPORTING else ""

    def _bear_outage(self, error: Exception, now: float) -> None:
        connection.close()
        close_old_connections()
        if self._lost_at is None:
            self._lost_at = now
            self._progress.message(f"The database does not answer, trying again: {one_line(error)}")
        elif now - self._lost_at >= OUTAGE_SECONDS:
            raise DemoError(
                f"The database has not answered for {OUTAGE_SECONDS:.0f} s: {one_line(error)}. "
                "Start it, then run the same command again to go on."
            ) from error


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise `Terminated` in the main thread, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
