"""`manage.py runworker`: parse, build, run. What a worker does is in `django_jobs.worker`."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import connections as database_connections
from django.utils import autoreload

from django_jobs import __version__
from django_jobs.apps import sync_definitions
from django_jobs.connections import connections
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import BrokerUnavailable, NotMigrated, TaskError
from django_jobs.execution.around import around_jobs
from django_jobs.management import patched
from django_jobs.management.arguments import add_arguments, check_autoscale, worker_options
from django_jobs.management.beats import beat_in_worker, look_at_tables
from django_jobs.management.project import EXIT_CONFIG, import_failure
from django_jobs.ports.broker import Broker
from django_jobs.ports.outbox import Outbox
from django_jobs.registry import registry
from django_jobs.worker import banner
from django_jobs.worker.logs import LogFormat, configure
from django_jobs.worker.options import PoolKind
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.solo import Solo
from django_jobs.worker.supervisor import Supervisor
from django_jobs.worker.unkept import unkept_limits

logger = logging.getLogger("django_jobs.worker")

RELOADER_PID: Final = "DJANGO_JOBS_RELOADER_PID"

EPILOG: Final = """
examples:
  manage.py runworker                              all queues, a process per CPU
  manage.py runworker --queues mail=3,default      mail is asked first three times of four
  manage.py runworker --beat                       with a beat: schedules fire, too
  manage.py runworker --burst                      do what is due, then end
  manage.py runworker --pool solo                  one process: breakpoint() works

signals: TERM and INT stop gracefully, a second one at once; QUIT writes all stacks to stderr.
exit codes: 0 stopped or drained, 1 error, 2 usage, 78 a jobs module or the settings cannot be used.
"""


class Command(BaseCommand):
    """Run jobs until stopped."""

    help = "Run jobs: take them from the queues, run them, keep their results."
    requires_system_checks = []  # what a worker needs is looked at in `handle`, and said better

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["autoscale"]:  # before the reloader, which would wait for the code to change
            check_autoscale(PoolKind(options["pool"]), options["concurrency"])
        reload = settings.DEBUG if options["reload"] is None else options["reload"]
        if reload and options["pool"] != PoolKind.SOLO.value:
            autoreload.run_with_reloader(_run_again_and_again)
            return
        if options["pool"] == PoolKind.GEVENT.value:
            self._see_to_patches()
        if options["beat"] and options["pool"] == PoolKind.SOLO.value:
            raise CommandError(
                "--pool solo starts no process, so --beat cannot be. Start runbeat beside it.", returncode=2
            )
        log_format = LogFormat(options["log_format"])
        configure(log_format, verbosity=options["verbosity"])
        setup = self._build(options)
        if not self._look_at_broker():
            setup = replace(setup, catch_up=_catch_up)
        if options["beat"]:
            look_at_tables()
        for text in unkept_limits(setup):
            logger.warning(text)
        self._greet(setup, connections.broker.describe(), log_format, options["verbosity"])
        database_connections.close_all()
        connections.broker.close()
        make = Solo if setup.options.pool is PoolKind.SOLO else Supervisor
        code = make(setup, on_ready=lambda: logger.info("Ready: the broker answers.")).run()
        if code:
            sys.exit(code)

    def _build(self, options: dict[str, Any]) -> WorkerSetup:
        try:
            policy = connections.policy
            specs = list(registry)
            plans = {spec.name: spec.options_over(policy.task_defaults) for spec in specs}
            around = around_jobs(policy)
        except (ImproperlyConfigured, TaskError) as error:
            raise CommandError(str(error), returncode=EXIT_CONFIG) from error
        except Exception as error:
            raise CommandError(import_failure(error), returncode=EXIT_CONFIG) from error
        chosen = worker_options(options, reloader_pid=_reloader_pid())
        find = registry.get if chosen.runs_coroutines else _find_function
        return WorkerSetup(
            options=chosen,
            policy=policy,
            find=find,
            tasks=tuple(name for name in plans if find(name) is not None),
            left_to_others=tuple(name for name in plans if find(name) is None),
            at_most_once=tuple(name for name, plan in plans.items() if not plan.acks_late),
            open_broker=_own_broker,
            open_results=lambda: connections.results,
            open_lock=connections.lock,
            open_outbox=None if connections.broker.in_transaction else _own_outbox,
            around=around,
            version=__version__,
            beat=beat_in_worker if options["beat"] else None,
        )

    def _see_to_patches(self) -> None:
        """Start again with gevent's patches, which have to come before all imports."""
        if find_spec("gevent") is None:
            text = "--pool gevent needs the package gevent: pip install 'django-background-jobs[gevent]'."
            raise CommandError(text, returncode=2)
        if patched.is_patched():
            return
        if patched.is_second_start() or not getattr(self, "_called_from_command_line", False):
            raise CommandError(
                "--pool gevent needs gevent's patches before Django is imported. Run it as a command (manage.py "
                f"runworker), or call {patched.MODULE}.patch() first thing in the process.",
                returncode=2,
            )
        patched.start_again()

    def _look_at_broker(self) -> bool:
        """Say whether the broker answers; a store that is down now may come back, missing tables will not."""
        try:
            connections.broker.ready_queues()
            for name, detail in connections.broker.risks().items():
                logger.warning("The broker endangers jobs (%s): %s. See `manage.py check --deploy`.", name, detail)
            sync_definitions()
        except NotMigrated as error:
            raise CommandError(f"{error} The worker was not started: run manage.py migrate first.") from error
        except BrokerUnavailable as error:
            logger.warning("%s The worker starts and goes on trying.", error)
            return False
        return True

    def _greet(self, setup: WorkerSetup, broker: str, log_format: LogFormat, verbosity: int) -> None:
        module = settings.SETTINGS_MODULE or "(configured by hand)"
        if log_format is LogFormat.JSON:
            logger.info("Starting.", extra={"fields": banner.fields(setup, settings_module=module, broker=broker)})
        elif verbosity:
            text = banner.lines(setup, settings_module=module, broker=broker, list_tasks=verbosity > 1)
            self.stdout.write("\n".join(text))
            self.stdout.flush()


def _find_function(name: str) -> TaskSpec | None:
    spec = registry.get(name)
    return None if spec is None or spec.is_async else spec


def _own_outbox() -> Outbox:
    return connections.outbox.own()


def _catch_up() -> None:
    """Do what could not be done at the start; in the keeper, which has no connection of the project's but this one."""
    try:
        sync_definitions()
    except DatabaseError as error:
        logger.warning("The task definitions were not brought up to date: %s. The next worker does it.", error)
    finally:
        database_connections.close_all()


def _own_broker() -> Broker:
    return connections.broker.own()


def _reloader_pid() -> int | None:
    pid = os.environ.get(RELOADER_PID)
    return int(pid) if pid else None


def _run_again_and_again() -> None:
    """Run the worker in a process of its own, beside Django's reloader, which replaces this one on a change.

    The worker forks, and so cannot live in the thread that the reloader gives.
    """
    registry.discover()  # so that the reloader watches the jobs modules
    command = [*autoreload.get_child_arguments(), "--no-reload"]
    worker = subprocess.Popen(command, env=os.environ | {RELOADER_PID: str(os.getpid())})
    stopping = threading.Event()
    atexit.register(_end, worker, stopping)
    code = worker.wait()
    if stopping.is_set():
        return  # this process is about to end with the status that makes the reloader start another
    if code:
        logger.warning("The worker has ended with status %d. It starts again when code changes.", code)
    else:
        os._exit(0)  # from this thread nothing else ends the reloader


def _end(worker: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Stop the worker gracefully; it kills what does not end within its grace."""
    stopping.set()
    if worker.poll() is None:
        worker.terminate()
        worker.wait()
