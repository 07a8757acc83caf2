"""What the processes of one worker share: who runs and holds what, fences, flags and signs of life.

One anonymous shared mapping of 8-byte words: a head for the whole worker, then a block per child: its own head, the
numbers of its open claims, and a table of the jobs that it holds. Single words are written whole, so that whoever
reads them without the lock sees an old value or a new one. What a child starts, and what the keeper strikes, is
decided under the lock of that child. Times are boot-clock seconds (see `clock`) unless they end in `_us`.
"""

from __future__ import annotations

import mmap
import multiprocessing
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import BoundedSemaphore
from typing import Final

from django_jobs.core.claim import Claim
from django_jobs.worker.layout import (
    CHILD_WORDS,
    HEAD_WORDS,
    RECORD_WORDS,
    ChildWord,
    Flag,
    Held,
    HeldJob,
    Size,
    Word,
)

LOCK_TIMEOUT_SECONDS: Final = 1.0
"""The lock is held for microseconds: whoever cannot get it for so long waits for a dead process."""
_RECORD: Final = struct.Struct("=QQQq64s")


class Shared:
    """The mapping and its locks; made by the supervisor before it forks."""

    def __init__(self, children: int, size: Size = Size()) -> None:  # noqa: B008  it is a constant
        self.size = size
        self._map = mmap.mmap(-1, 8 * (HEAD_WORDS + children * size.words))
        view = memoryview(self._map)
        self.words: memoryview[int] = view.cast("Q")
        self.floats: memoryview[float] = view.cast("d")
        self._quota_lock = _make_lock()
        self.children = [ChildSlots(self, index) for index in range(children)]

    @property
    def stopping(self) -> bool:
        return self.words[Word.STOPPING] != 0

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self.words[Word.STOPPING] = int(value)

    def reset(self) -> None:
        """Forget all but the clocks and what the worker was told to be, for a new session; only without children."""
        for word in (Word.STOPPING, Word.DEAD, Word.CLOSING, Word.SESSION_OPEN, Word.ORDER):
            self.words[word] = 0
        self.floats[Word.FENCE_AT] = self.floats[Word.RENEWED_AT] = 0.0
        for child in self.children:
            if child[ChildWord.INCARNATION]:  # pages of a block that nobody has used stay untouched
                child.reset(pid=0, incarnation=0)

    def take_ticket(self, limit: int) -> bool:
        """Count one started job of at most `limit`; False when there were as many already."""
        self._quota_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            started = self.words[Word.JOBS_STARTED]
            if started >= limit:
                return False
            self.words[Word.JOBS_STARTED] = started + 1
            return True
        finally:
            _unlock(self._quota_lock)


class ChildSlots:
    """One child's block. Its own process writes; the keeper strikes; the supervisor reads it after a death."""

    def __init__(self, shared: Shared, index: int) -> None:
        self.index = index
        self._words = shared.words
        self._floats = shared.floats
        self._map = shared._map
        self._size = size = shared.size
        self._head = HEAD_WORDS + index * size.words
        self._claims = self._head + CHILD_WORDS
        self._records = self._claims + size.claims
        self._lock = _make_lock()
        # Only the child's own process uses these, from its fork on.
        self._free = list(range(size.held - 1, -1, -1))
        self._free_claims = list(range(size.claims - 1, -1, -1))
        self._places: dict[int, int] = {}

    # -- read by all -------------------------------------------------------------------------------------------

    def __getitem__(self, word: ChildWord) -> int:
        return self._words[self._head + word]

    def seconds(self, word: ChildWord) -> float:
        """Return a word that is a float."""
        return self._floats[self._head + word]

    def open_claims(self) -> set[tuple[int, int]]:
        """Return (incarnation, number) of every claim that the child has published."""
        while True:
            incarnation = self[ChildWord.INCARNATION]
            numbers = self._words[self._claims : self._records].tolist()
            if incarnation == self[ChildWord.INCARNATION]:
                return {(incarnation, number) for number in numbers if number}

    def jobs(self) -> list[HeldJob]:
        """Return the records that are in use; exact under the lock or when the child is dead."""
        found = []
        for index in range(self._size.held):
            word = self._words[self._records + index * RECORD_WORDS]
            if word & 0xFF:
                found.append(self._read(index))
        return found

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the child's lock; gives False, without it, when somebody died or was stopped with it."""
        taken = self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            yield taken
        finally:
            if taken:
                _unlock(self._lock)

    def break_lock(self) -> None:
        """Make the lock free again after its holder was killed; only once that process has been waited for."""
        self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        _unlock(self._lock)

    # -- the supervisor and the keeper -------------------------------------------------------------------------

    def reset(self, *, pid: int, incarnation: int) -> None:
        """Empty the block for a new child (the supervisor, before the fork)."""
        start, stop = 8 * self._head, 8 * (self._head + self._size.words)
        self._map[start:stop] = bytes(stop - start)
        self._words[self._head + ChildWord.PID] = pid
        self._words[self._head + ChildWord.INCARNATION] = incarnation
        self._free = list(range(self._size.held - 1, -1, -1))
        self._free_claims = list(range(self._size.claims - 1, -1, -1))
        self._places = {}

    def set(self, word: ChildWord, value: int) -> None:
        """Write one word of the head (the supervisor; the keeper only DEATH and PID of a dead child)."""
        self._words[self._head + word] = value

    def set_seconds(self, word: ChildWord, value: float) -> None:
        """Write one word that is a float."""
        self._floats[self._head + word] = value

    # -- the child's own process -------------------------------------------------------------------------------

    def asks(self, is_asking: bool) -> None:
        """Say that claims may be on their way here, or that none is."""
        self._words[self._head + ChildWord.ASKING] = is_asking

    def sign(self, now: float) -> None:
        """Give a sign of life."""
        self._floats[self._head + ChildWord.SIGN] = now

    def answered(self) -> None:
        """Count an answer of the broker."""
        self._words[self._head + ChildWord.ANSWERS] += 1

    def publish(self, number: int) -> bool:
        """Note an open claim before it is asked for; False when there are too many."""
        if not self._free_claims:
            return False
        place = self._places[number] = self._free_claims.pop()
        self._words[self._claims + place] = number
        return True

    def withdraw(self, number: int) -> None:
        """Take out a claim whose last settle has been answered."""
        place = self._places.pop(number, None)
        if place is not None:
            self._words[self._claims + place] = 0
            self._free_claims.append(place)

    def holds(self, index: int, number: int) -> bool:
        """Say whether the job at this place, of the claim with this number, is not settled yet."""
        word = self._records + index * RECORD_WORDS
        return self._words[word] & 0xFF != Held.FREE and self._words[word + 2] == number

    @property
    def room(self) -> int:
        """How many jobs more the table can hold."""
        return len(self._free)

    def put(self, claims: Sequence[Claim], flags: Sequence[int], now: float) -> list[int]:
        """Enter claimed jobs as waiting; return their indexes."""
        indexes = [self._free.pop() for _ in claims]
        self._enter()
        try:
            for index, claim, flag in zip(indexes, claims, flags, strict=True):
                name = claim.message.id.encode()
                meta = Held.WAITING | flag << 8 | len(name) << 16
                offset = 8 * (self._records + index * RECORD_WORDS)
                _RECORD.pack_into(self._map, offset, meta, claim.attempt, claim.name.number, 0, name)
            self._words[self._head + ChildWord.WAITING] += len(indexes)
            self._floats[self._head + ChildWord.PROGRESS] = now
        finally:
            _unlock(self._lock)
        return indexes

    def start(self, index: int, now: float, started_us: int) -> bool:
        """Make a waiting job the running one; False when the keeper has struck it meanwhile."""
        words, head = self._words, self._head
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            meta = words[word]
            if meta & 0xFF != Held.WAITING:
                return False
            words[word + 3] = started_us
            words[word] = meta + 1  # WAITING + 1 = RUNNING
            words[head + 4] += 1  # ChildWord.RUNNING; enum look-ups cost more than the write
            words[head + 5] -= 1  # ChildWord.WAITING
            words[head + 6] += 1  # ChildWord.STARTED
            self._floats[head + 3] = self._floats[head + 2] = now  # ChildWord.PROGRESS, SIGN
            return True
        finally:
            _unlock(self._lock)

    def hold_back(self, index: int) -> None:
        """Make a running job a waiting one again, before a line of it has run."""
        words, head = self._words, self._head
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            words[word + 3] = 0
            words[word] -= 1  # RUNNING - 1 = WAITING
            words[head + 4] -= 1  # ChildWord.RUNNING
            words[head + 5] += 1  # ChildWord.WAITING
            words[head + 6] -= 1  # ChildWord.STARTED
        finally:
            _unlock(self._lock)

    def done(self, index: int) -> None:
        """Note that a running job has ended; its outcome is not settled yet."""
        words = self._words
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            words[word] = (words[word] & ~0xFF) | 3  # Held.DONE
            words[self._head + 4] -= 1  # ChildWord.RUNNING
        finally:
            _unlock(self._lock)

    def limit(self, index: int, *, soft_at: float, hard_at: float) -> None:
        """Note when a running job reaches its limits of time; 0 for none."""
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            self._floats[word + 12], self._floats[word + 13] = soft_at, hard_at
            self._words[word] |= Flag.LIMITED << 8
            self._words[self._head + ChildWord.LIMITED] += 1
        finally:
            _unlock(self._lock)

    def unlimit(self, index: int) -> None:
        """Forget the limits of time of a running job."""
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            if self._words[word] >> 8 & Flag.LIMITED:
                self._words[word] &= ~(Flag.LIMITED << 8)
                self._words[self._head + ChildWord.LIMITED] -= 1
        finally:
            _unlock(self._lock)

    def is_soft_due(self, index: int) -> bool:
        """Say whether the supervisor has found a job to be over its soft limit. Without the lock: for the signal."""
        return bool(self._words[self._records + index * RECORD_WORDS] >> 8 & Flag.SOFT_DUE)

    def cancel_of(self, index: int) -> Flag:
        """Return what is known of a request to cancel the job at this place: none, CANCELLED, or TERMINATE."""
        return Flag(self._words[self._records + index * RECORD_WORDS] >> 8 & 0xFF) & (Flag.CANCELLED | Flag.TERMINATE)

    def is_cancelled(self, job_id: str, attempt: int) -> bool:
        """Say whether a running job is to be cancelled; costs one look while no job of this child is."""
        if not self[ChildWord.CANCELS]:
            return False
        return any(job.id == job_id and job.attempt == attempt and self.cancel_of(job.place) for job in self.jobs())

    def withhold(self, index: int) -> bool:
        """Take a waiting job back from the line, since it will not start; False when the keeper has struck it."""
        words = self._words
        word = self._records + index * RECORD_WORDS
        self._enter()
        try:
            meta = words[word]
            if meta & 0xFF != Held.WAITING:
                return False
            words[word] = (meta & ~0xFF) | 3  # Held.DONE
            words[self._head + 5] -= 1  # ChildWord.WAITING
            return True
        finally:
            _unlock(self._lock)

    def free(self, index: int) -> None:
        """Forget a job whose settle has been answered, or that was struck."""
        self._words[self._records + index * RECORD_WORDS] = 0
        self._free.append(index)

    # -- the keeper and the supervisor -------------------------------------------------------------------------

    def strike(self, incarnation: int) -> list[HeldJob]:
        """Take every waiting job out of the child's hands; it will not start them. The caller holds the lock."""
        if self[ChildWord.INCARNATION] != incarnation:
            return []
        struck = [job for job in self.jobs() if job.state is Held.WAITING]
        for job in struck:
            word = self._records + job.place * RECORD_WORDS
            self._words[word] = (self._words[word] & ~0xFF) | Held.STRUCK
        self._words[self._head + ChildWord.WAITING] -= len(struck)
        return struck

    def flag(self, index: int, attempt: int, flag: Flag) -> None:
        """Note what became of a running job: its start mark, a limit of time, a cancel. The caller holds the lock."""
        word = self._records + index * RECORD_WORDS
        if self._words[word] & 0xFF == Held.RUNNING and self._words[word + 1] == attempt:
            self._words[word] |= flag << 8

    def count_cancels(self) -> None:
        """Note how many running jobs are to be cancelled. The caller holds the lock."""
        wanted = [job for job in self.jobs() if job.state is Held.RUNNING and self.cancel_of(job.place)]
        self._words[self._head + ChildWord.CANCELS] = len(wanted)

    def _enter(self) -> None:
        # Without a timeout: a keeper that was stopped while it strikes would go on with what it has read. If it has
        # died with the lock, the supervisor replaces it and breaks the lock.
        self._lock.acquire()

    def _read(self, index: int) -> HeldJob:
        offset = 8 * (self._records + index * RECORD_WORDS)
        meta, attempt, number, started_us, name = _RECORD.unpack_from(self._map, offset)
        limited = meta >> 8 & Flag.LIMITED
        return HeldJob(
            place=index,
            id=name[: meta >> 16 & 0xFF].decode(),
            attempt=attempt,
            number=number,
            state=Held(meta & 0xFF),
            flags=Flag(meta >> 8 & 0xFF),
            started_us=started_us,
            soft_at=self._floats[offset // 8 + 12] if limited else 0.0,
            hard_at=self._floats[offset // 8 + 13] if limited else 0.0,
        )


def _make_lock() -> BoundedSemaphore:
    # A semaphore, not a Lock: another process may free it when its holder was killed.
    return multiprocessing.get_context().BoundedSemaphore(1)


def _unlock(lock: BoundedSemaphore) -> None:
    try:  # noqa: SIM105  suppress() costs more than the release
        lock.release()
    except ValueError:  # somebody has freed it for us, believing us dead
        pass
