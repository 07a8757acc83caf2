"""Shows how far a long command is: a bar that is drawn over on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import os
from typing import Final, Protocol

LINE_EVERY_SECONDS: Final = 5.0
REDRAW_EVERY_SECONDS: Final = 0.1


class Output(Protocol):
    """What is written to: a text stream."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Progress:
    """Draws `done` of `total`. Time is an argument, in seconds of any clock that never goes back.

    Not one escape sequence is written unless `colour`; a bar is erased with blanks.
    """

    def __init__(self, output: Output, *, total: int, now: float, is_terminal: bool, colour: bool, width: int) -> None:
        self._output = output
        self._total = total
        self._began = now
        self._is_terminal = is_terminal
        self._colour = colour
        self._width = max(20, width)
        self._first: int | None = None
        self._shown: int | None = None
        self._shown_at = -LINE_EVERY_SECONDS
        self._drawn = 0

    def update(self, done: int, note: str, *, now: float) -> None:
        """Show `done` and `note`; drawn no more often than is good to look at."""
        if self._first is None:
            self._first = done
        ends = done >= self._total and done != self._shown
        since = now - self._shown_at
        if self._is_terminal and since >= REDRAW_EVERY_SECONDS:
            self._draw(self.bar(done, note, now=now))
        elif not self._is_terminal and (since >= LINE_EVERY_SECONDS or ends):
            self._output.write(f"{self.line(done, note, now=now)}\n")
        else:
            return
        self._shown, self._shown_at = done, now
        self._output.flush()

    def message(self, text: str) -> None:
        """Write a line of its own above the bar."""
        self.clear()
        self._output.write(f"{text}\n")
        self._output.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._output.write("\r" + " " * self._drawn + "\r")
            self._output.flush()
            self._drawn = 0

    def line(self, done: int, note: str, *, now: float) -> str:
        """Return the state as plain text, as `12 of 61 (19 %), 3 s, about 12 s left`; a note stands for the guess."""
        parts = [f"{done} of {self._total} ({self._percent(done)} %)", f"{now - self._began:.0f} s"]
        left = self.seconds_left(done, now=now)
        if note:
            parts.append(note)
        elif left is not None:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)

    def bar(self, done: int, note: str, *, now: float) -> str:
        """Return one line no longer than the terminal is wide: a bar where there is room for one, and the text."""
        text = self.line(done, note, now=now)
        room = min(40, self._width - len(text) - 4)
        if room < 8:
            return text[: self._width - 1]
        filled = room * done // self._total if self._total else room
        blocks = "#" * filled
        if self._colour and filled:
            blocks = f"\x1b[32m{blocks}\x1b[0m"
        return f"[{blocks}{'.' * (room - filled)}] {text}"

    def seconds_left(self, done: int, *, now: float) -> float | None:
        """Guess from the rate of this start; None before the first job and after the last."""
        gained = done - (self._first or 0)
        if gained <= 0 or done >= self._total:
            return None
        return (now - self._began) / gained * (self._total - done)

    def _percent(self, done: int) -> int:
        return 100 * done // self._total if self._total else 100

    def _draw(self, text: str) -> None:
        visible = len(text) - (len("\x1b[32m\x1b[0m") if "\x1b[32m" in text else 0)
        self._output.write("\r" + text + " " * max(0, self._drawn - visible))
        self._drawn = visible


def wants_colour(*, is_terminal: bool, environ: dict[str, str] | os._Environ[str]) -> bool:
    """Say whether to use colours: on a terminal that is not dumb, unless NO_COLOR is set to anything (no-color.org)."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
