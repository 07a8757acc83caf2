"""The Lua scripts, one per verb, read from the package and named by their digest."""

from __future__ import annotations

from hashlib import sha1
from importlib import resources
from typing import Final, NamedTuple


class Script(NamedTuple):
    """A script's text and the name under which the server keeps it."""

    verb: str
    text: str
    sha: str


def _load(verb: str, *, behind: tuple[str, ...] = ("prelude",)) -> Script:
    folder = resources.files(__package__) / "lua"
    text = "".join((folder / f"{name}.lua").read_text() for name in (*behind, verb))
    return Script(verb, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


TAKES_TURNS: Final = ("prelude", "turns")

AWAIT: Final = _load("await")
BOUND: Final = _load("bound", behind=TAKES_TURNS)
CANCEL: Final = _load("cancel")
DISCARD: Final = _load("discard")
ENQUEUE: Final = _load("enqueue")
EXCHANGE: Final = _load("exchange", behind=TAKES_TURNS)
FIND: Final = _load("find")
FORGET: Final = _load("forget")
HELD: Final = _load("held")
LET_IN: Final = _load("let_in")
LOCK: Final = _load("lock")
OLD: Final = _load("old")
OUT: Final = _load("out")
PROGRESS: Final = _load("progress")
QUEUES: Final = _load("queues")
REQUEUE: Final = _load("requeue", behind=TAKES_TURNS)
RESCUE: Final = _load("rescue")
SAVE: Final = _load("save")
SESSION: Final = _load("session")
SESSIONS: Final = _load("sessions")
STARTED: Final = _load("started")
STATS: Final = _load("stats")
STRIKE: Final = _load("strike")
SWEEP: Final = _load("sweep", behind=TAKES_TURNS)
TICK: Final = _load("tick")
TOLD: Final = _load("told")
UNPARK: Final = _load("unpark")
