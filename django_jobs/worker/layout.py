"""How the shared memory of one worker is laid out: its words, and what a record of a held job says.

Eight bytes a word: a head for the whole worker, then a block per child (its own head, the numbers of its open claims,
and a table of the jobs that it holds). Times are boot-clock seconds (see `clock`) unless they end in `_us`.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

HEAD_WORDS: Final = 32
CHILD_WORDS: Final = 32
MAX_OPEN_CLAIMS: Final = 64
MAX_HELD: Final = 1000
RECORD_WORDS: Final = 14


class Size(NamedTuple):
    """How much one child's block has room for."""

    claims: int = MAX_OPEN_CLAIMS
    """Open at a time: each long job may keep a claim of its own open."""
    held: int = MAX_HELD

    @classmethod
    def of(cls, *, runners: int, coroutines: int) -> Size:
        """Return what a child needs that runs so many jobs at a time, and holds some more."""
        return cls(claims=MAX_OPEN_CLAIMS + runners + coroutines, held=max(MAX_HELD, coroutines + MAX_HELD // 2))

    @property
    def words(self) -> int:
        return CHILD_WORDS + self.claims + self.held * RECORD_WORDS


class Word(IntEnum):
    """The words of the worker's head. F: a float of boot-clock seconds."""

    FENCE_AT = 0  # F, written by the keeper
    RENEWED_AT = 1  # F, written by the keeper
    SUPERVISOR_SIGN = 2  # F
    KEEPER_SIGN = 3  # F
    STOPPING = 4
    DEAD = 5  # the broker has declared the session dead
    CLOSING = 6  # no child is left: the keeper settles what is open, closes the session and ends
    JOBS_STARTED = 7  # only counted with --max-jobs
    SESSION_OPEN = 8  # the broker knows the session
    SUSPECTS_MADE = 9  # counts what made suspects, so that an idle child asks for them at once
    LIMITS_AT = 10  # F: the supervisor looks at limits of time again by then
    CHILDREN = 20  # how many children are wanted
    QUIET = 21  # nothing is claimed
    STOP_ORDERED = 22  # somebody has ordered a stop from afar
    ORDER = 23  # the number of the last order of this session that was obeyed


class ChildWord(IntEnum):
    """The words of a child's head."""

    PID = 0
    INCARNATION = 1
    SIGN = 2  # F
    PROGRESS = 3  # F: when it last took a job in or started one
    RUNNING = 4
    WAITING = 5
    STARTED = 6
    ANSWERS = 7
    DEATH = 8  # a Death, written by the supervisor once it has waited for the process; 0 while it lives
    DEATH_STATUS = 9  # as os.waitpid gave it
    MEMORY = 10  # bytes resident, as the supervisor last saw them
    STARTED_AT = 11  # F: when it was forked
    ENDED_US = 12  # wall clock, microseconds: when it was waited for
    LIMITED = 13  # running jobs with a limit of time
    CANCELS = 14  # running jobs whose cancel is requested, as the keeper last saw them
    ASKING = 15  # it asks for jobs, or has a want standing: what it does not yet know may be its own
    DISMISSED = 20  # it is to leave once what it runs has ended


class Death(IntEnum):
    """Why a child has ended."""

    NONE = 0
    CRASHED = 1
    """By itself: a signal that was not ours, or an exit inside a job."""
    INTERRUPTED = 2
    """We killed it, or it left in order."""


class Held(IntEnum):
    """The states of a job in a child's table."""

    FREE = 0
    WAITING = 1
    RUNNING = 2
    DONE = 3
    STRUCK = 4


class Flag(IntFlag):
    """What the keeper must know about a job, from bit 8 of its record's first word."""

    SUSPECT = 1
    AT_MOST_ONCE = 2
    MARKED = 4
    LIMITED = 8
    """The last two words of the record say when its limits of time are reached."""
    SOFT_DUE = 16
    HARD_DUE = 32
    CANCELLED = 64
    """Its cancel is requested: it may ask."""
    TERMINATE = 128
    """It is to be ended: signalled first, then killed with its process."""


class HeldJob(NamedTuple):
    """One record of a child's table, as others read it."""

    place: int
    id: str
    attempt: int
    number: int
    state: Held
    flags: Flag
    started_us: int
    soft_at: float = 0.0
    """Boot-clock seconds at which its soft limit of time is reached; 0 for none."""
    hard_at: float = 0.0
