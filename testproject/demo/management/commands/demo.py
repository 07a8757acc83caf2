"""`manage.py demo`: the whole system on real input, from an empty checkout."""

from __future__ import annotations

import os
import shutil
import sys
import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from testproject.databases import from_url
from testproject.demo.conductor import Conductor, Wishes
from testproject.demo.database_url import complete
from testproject.demo.dispatch import NothingToAudit
from testproject.demo.errors import DemoError
from testproject.demo.progress import Progress, wants_colour

DATABASE_VARIABLE = "DATABASE_URL"

HELP = """\
Audit the Python environment that this runs in: one job per installed distribution compares every
file with the hash in its RECORD, and the last one enqueues the report, which is mailed to a file.

Makes its database, migrates it and starts a worker. Interrupted and started again, it goes on
where it was.

exit codes: 0 everything is as it was installed, 1 it is not or an error, 2 usage,
            3 nothing is installed there, 130 Ctrl-C, 143 SIGTERM

examples:
  manage.py demo
  manage.py demo --serve --port 8001
  manage.py demo --database postgres://postgres@127.0.0.1/demo
  manage.py demo --path /usr/lib/python3/dist-packages
"""


class Command(BaseCommand):
    help = HELP
    # What a first look should not begin with: the checks' advice for projects. Errors show up all the same.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--path",
            action="append",
            default=[],
            metavar="DIR",
            help="audit the distributions in this directory instead of sys.path; may be given more than once",
        )
        parser.add_argument(
            "--database",
            metavar="URL",
            help="postgres://user:password@host:port/name or mysql://...; made if missing. Default: the settings' own",
        )
        parser.add_argument(
            "--serve", action="store_true", help="leave the site and its admin running, and print a login"
        )
        parser.add_argument("--port", type=_port, default=8000, help="of the site; 0 takes a free one. Default: 8000")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--keep", action="store_true", help="go on with an unfinished audit (the default)")
        which.add_argument(
            "--fresh",
            action="store_true",
            help="drop the earlier audits of this environment and their reports, and begin anew",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Start this program again where `--database` names another database than the settings do.

        Settings are read once per process; the worker and the site get the same URL through the environment.
        """
        self._called_from_command_line = True  # as Django does before it parses: usage errors exit 2
        options = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        try:
            url = complete(options.database) if options.database else None
        except DemoError as error:
            self.stderr.write(self.style.ERROR(f"CommandError: {error}"))
            sys.exit(1)
        if url is not None and os.environ.get(DATABASE_VARIABLE) != url:
            os.environ[DATABASE_VARIABLE] = url
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        self._check_database(options["database"])
        wishes = Wishes(paths=options["path"], fresh=options["fresh"], serve=options["serve"], port=options["port"])
        try:
            code = Conductor(wishes, say=self._say, make_progress=self._progress).run()
        except NothingToAudit as error:
            raise CommandError(str(error), returncode=3) from error
        except DemoError as error:
            raise CommandError(str(error)) from error
        if code:
            sys.exit(code)

    def _check_database(self, given: str | None) -> None:
        """Refuse a `--database` that the settings have not taken."""
        if given is None:
            return
        wanted, taken = from_url(given), settings.DATABASES["default"]
        if any(str(wanted[key]) != str(taken.get(key)) for key in ("ENGINE", "NAME")):
            raise CommandError(
                f"The settings {os.environ.get('DJANGO_SETTINGS_MODULE')} do not read {DATABASE_VARIABLE}, so "
                "--database has no effect. Use it on the command line, with the settings of the test project."
            )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _progress(self, total: int) -> Progress:
        is_terminal = self.stdout.isatty()
        return Progress(
            _Raw(self.stdout),
            total=total,
            now=time.monotonic(),
            is_terminal=is_terminal and os.environ.get("TERM") != "dumb",
            colour=wants_colour(is_terminal=is_terminal, environ=os.environ),
            width=shutil.get_terminal_size().columns,
        )


class _Raw:
    """The command's output without the line end that Django adds to each write."""

    def __init__(self, output: Any) -> None:
        self._output = output

    def write(self, text: str, /) -> None:
        self._output.write(text, ending="")

    def flush(self) -> None:
        self._output.flush()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)
