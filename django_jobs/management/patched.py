"""Runs a program with gevent's patches in place before it imports anything: `python -m django_jobs.management.patched`.

Its arguments are those of the program: a script and what it is given, or `-m`, a module and what it is given.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Final, NoReturn

MODULE: Final = "django_jobs.management.patched"
MARK: Final = "DJANGO_JOBS_PATCHED"
"""Names the process that was started so, in its environment: it is not to start itself again."""


def start_again() -> NoReturn:
    """Replace this process by one that runs the same command line, patched; its process id stays."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]
    warnings = [f"-W{option}" for option in sys.warnoptions]
    os.environ[MARK] = str(os.getpid())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *warnings, "-m", MODULE, *program, *sys.argv[1:]])  # noqa: S606


def is_second_start() -> bool:
    """Whether this process was made by `start_again`."""
    return os.environ.get(MARK) == str(os.getpid())


def is_patched() -> bool:
    """Whether gevent has replaced the sockets and threads of this process."""
    from gevent import monkey

    return bool(monkey.is_module_patched("socket") and monkey.is_module_patched("threading"))


def main() -> None:
    """Patch, and run the program under its own name."""
    patch()
    first, *rest = sys.argv[1:]
    if first == "-m":
        module, *given = rest
        sys.argv = [module, *given]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        sys.path[0] = str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


def patch() -> None:
    """Make sockets, threads, locks and waits of this process cooperate; forks, signals and their handlers stay.

    The supervisor forks, waits for processes and takes signals by itself; gevent would do that with a loop of its own.
    """
    import gevent
    from gevent import monkey

    monkey.patch_all(os=False, signal=False)
    os.register_at_fork(after_in_child=gevent.reinit)


if __name__ == "__main__":
    main()
