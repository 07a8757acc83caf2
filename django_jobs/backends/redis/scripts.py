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


def _load(verb: str, *parts: str) -> Script:
    folder = resources.files(__package__) / "lua"
    text = "".join([(folder / f"{part}.lua").read_text() for part in ("prelude", *parts, verb)])
    return Script(verb, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


AWAIT: Final = _load("await")
BOUND: Final = _load("bound", "turns")
CANCEL: Final = _load("cancel")
CANCELS: Final = _load("cancels")
DISCARD: Final = _load("discard")
ENQUEUE: Final = _load("enqueue")
EXCHANGE: Final = _load("exchange", "turns")
FIND: Final = _load("find")
FORGET: Final = _load("forget")
HELD: Final = _load("held")
LET_IN: Final = _load("let_in", "returning")
LOCK: Final = _load("lock")
OLD: Final = _load("old")
ORDER: Final = _load("order")
OUT: Final = _load("out")
PAUSE: Final = _load("pause")
PROGRESS: Final = _load("progress")
QUEUES: Final = _load("queues")
REQUEUE: Final = _load("requeue", "turns")
RESCUE: Final = _load("rescue")
RESUME: Final = _load("resume", "returning")
SAVE: Final = _load("save")
SESSION: Final = _load("session")
SESSIONS: Final = _load("sessions")
STARTED: Final = _load("started")
STATS: Final = _load("stats")
STRIKE: Final = _load("strike")
SWEEP: Final = _load("sweep", "turns")
TICK: Final = _load("tick")
TOLD: Final = _load("told")
UNPARK: Final = _load("unpark")
