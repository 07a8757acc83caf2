"""`manage.py jobs`: look at jobs and steer them from a terminal or a script."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_jobs.conf import InvalidSettings
from django_jobs.exceptions import JobsError
from django_jobs.management.jobs import (
    cancel,
    control,
    enqueue,
    listing,
    pausing,
    prune,
    purge,
    retry,
    show,
    stats,
    workers,
)
from django_jobs.management.jobs.verb import ERROR, USAGE, Output, stop

VERBS = {
    verb.name: verb
    for verb in (
        listing.VERB,
        show.VERB,
        enqueue.VERB,
        retry.VERB,
        cancel.VERB,
        purge.VERB,
        pausing.PAUSE,
        pausing.RESUME,
        stats.VERB,
        workers.VERB,
        control.VERB,
        prune.VERB,
    )
}


class Command(BaseCommand):
    """Parses, and hands over to the verb."""

    help = (
        "Look at jobs and steer them. Exit codes: 0 ok, 1 error, 2 usage, 3 nothing matched. "
        "With --json one JSON object is written, with the version of its format."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        for verb in VERBS.values():
            sub_parser = verbs.add_parser(verb.name, help=verb.help, description=verb.help)
            verb.add_arguments(sub_parser)
            sub_parser.add_argument("--json", action="store_true", help="Write one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            VERBS[options["verb"]].run(options, Output(self.stdout, as_json=options["json"]))
        except (JobsError, InvalidSettings) as error:
            stop(str(error), ERROR)
        except UnicodeEncodeError as error:
            stop(f"An argument is not text in UTF-8: {error.object!r}.", USAGE)
