"""A beat as a process: it steps, sleeps, bears outages, and ends at a signal within two seconds."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from types import FrameType
from typing import Final

from django.db import Error as DatabaseError
from django.db import connections as database_connections
from django.db import reset_queries

from django_jobs.beat.beat import Beat
from django_jobs.exceptions import BrokerError

logger = logging.getLogger("django_jobs.beat")

LAST_SECONDS: Final = 1.5
"""For a step that a database holds up; then the process ends, and what was not committed rolls back."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


class Stop:
    """Set by a signal. A thread reads the signals from a pipe, since one that waits for a database handles none."""

    def __init__(self, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
        self._signals = signals
        self._event = threading.Event()
        self._ended = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self._event.is_set()

    def listen(self) -> None:
        """Take the signals; call it from the main thread."""
        read_fd, write_fd = os.pipe()
        os.set_blocking(write_fd, False)
        for number in self._signals:
            signal.signal(number, _do_nothing)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        threading.Thread(target=self._read, args=(read_fd,), name="django_jobs-stop", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Sleep, or less where a signal comes; say whether one has."""
        return self._event.wait(seconds)

    def ended(self) -> None:
        """Say that the loop has ended, so that the process is not ended under it."""
        self._ended.set()

    def _read(self, read_fd: int) -> None:
        while not set(os.read(read_fd, 64)) & set(self._signals):
            pass
        self._event.set()
        if not self._ended.wait(LAST_SECONDS):
            logger.warning("The step that runs was given up: a store holds it up.")
            os._exit(0)


class Pause:
    """Growing pauses while a store cannot be used, and one line in the log per outage."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    def failed(self, error: Exception) -> float:
        """Return the seconds to wait after one more failure."""
        if not self._failures:
            logger.warning("The beat cannot use its store and goes on trying: %s", _first_line(error))
        seconds: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return seconds * self._random.uniform(0.5, 1.0)

    def worked(self) -> None:
        """Begin anew after a success."""
        if self._failures:
            logger.info("The beat can use its store again.")
            self._failures = 0


def run(beat: Beat, stop: Stop, *, random: Random, on_ready: Callable[[], None] = lambda: None) -> None:
    """Step until `stop`; call `on_ready` once, after the first step that worked."""
    stop.listen()
    with suppress(AttributeError, ValueError, OSError):  # no stderr, or one that is no file
        faulthandler.register(signal.SIGQUIT, all_threads=True, chain=False)
    pause = Pause(random)
    ready = False
    seconds = 0.0
    while not stop.wait(seconds):
        try:
            seconds = beat.step()
            pause.worked()
        except (DatabaseError, BrokerError) as error:
            seconds = pause.failed(error)
            _drop_connections()
            continue
        finally:
            reset_queries()
        if not ready:
            ready = True
            on_ready()
    stop.ended()
    _drop_connections()


def run_once(beat: Beat) -> None:
    """Fire all that is due now.

    Raises:
        BrokerError, django.db.Error: a store cannot be used.
    """
    while not beat.step():
        reset_queries()


def _drop_connections() -> None:
    """Close what may be broken; the next step connects again."""
    for connection in database_connections.all(initialized_only=True):
        try:
            connection.close()
        except DatabaseError:  # as it is broken already
            connection.connection = None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Take the signal: the pipe has it."""
