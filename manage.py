#!/usr/bin/env python
"""Django's command line for the test project; on SQLite unless DJANGO_SETTINGS_MODULE or --settings says otherwise."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings.sqlite")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
