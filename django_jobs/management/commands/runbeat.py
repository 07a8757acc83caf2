"""`manage.py runbeat`: parse, build, run. What a beat does is in `django_jobs.beat`."""

from __future__ import annotations

import logging
from argparse import ArgumentTypeError
from random import Random
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from django_jobs.beat.process import Stop, run, run_once
from django_jobs.conf import InvalidSettings
from django_jobs.exceptions import BrokerError, TaskError
from django_jobs.management.beats import MAX_INTERVAL_SECONDS, greet, look_at_tables, make_beat
from django_jobs.management.project import EXIT_CONFIG, import_failure
from django_jobs.registry import registry
from django_jobs.worker.logs import LogFormat, configure

logger = logging.getLogger("django_jobs.beat")

EPILOG: Final = """
examples:
  manage.py runbeat            enqueue what the schedules say, until stopped; any number of these may run
  manage.py runbeat --once     enqueue what is due now, then end: for a cron job of the system
  manage.py runworker --beat   a worker with a beat in it

signals: TERM and INT stop within two seconds; QUIT writes all stacks to stderr.
exit codes: 0 stopped, 1 error, 2 usage, 78 a jobs module or the settings cannot be used.
"""


class Command(BaseCommand):
    """Enqueue the jobs of schedules at their ticks."""

    help = "Enqueue jobs when their schedules say so. Any number may run: each tick makes one job."
    requires_system_checks = []  # what a beat needs is looked at in `handle`, and said better

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="fire what is due now, then end")
        parser.add_argument(
            "--max-interval",
            type=_interval,
            default=MAX_INTERVAL_SECONDS,
            metavar="SECONDS",
            help="look for edited schedules at least so often (1)",
        )
        parser.add_argument("--log-format", choices=[kind.value for kind in LogFormat], default=LogFormat.TEXT.value)

    def handle(self, *args: Any, **options: Any) -> None:
        configure(LogFormat(options["log_format"]), verbosity=options["verbosity"])
        try:
            registry.discover()
            beat = make_beat(max_interval_seconds=options["max_interval"])
        except (InvalidSettings, TaskError) as error:
            raise CommandError(str(error), returncode=EXIT_CONFIG) from error
        except Exception as error:
            raise CommandError(import_failure(error), returncode=EXIT_CONFIG) from error
        look_at_tables()
        if not options["once"]:
            run(beat, Stop(), random=Random(), on_ready=greet)
            logger.info("Stopped.")
            return
        try:
            run_once(beat)
        except (DatabaseError, BrokerError) as error:
            raise CommandError(f"Not everything that is due was fired: {error}") from error


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 3600:
        raise ArgumentTypeError(f"it is a duration in seconds, 0.05 to 3600, not {text!r}")
    return seconds
