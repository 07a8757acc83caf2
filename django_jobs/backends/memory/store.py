"""The shared state behind the memory backends: live jobs, their lines, marks, results, sessions and locks."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from django_jobs.backends.memory.gates import Gates
from django_jobs.backends.memory.pauses import MemoryPauses
from django_jobs.backends.memory.records import MARK_GIVEN_US, MARK_OWN_US, Entry, Mark, Member, Record
from django_jobs.backends.memory.turns import Turns
from django_jobs.core import attempts
from django_jobs.core.claim import ClaimName
from django_jobs.core.message import Message
from django_jobs.core.outcome import StoredResult
from django_jobs.core.session import SessionInfo
from django_jobs.core.states import State


class MemoryStore:
    """One store, however many brokers look at it. Each public method of a backend is one step under `lock`.

    `clock` returns microseconds since 1970; `shift_clock` moves it, so that tests need not wait.
    """

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock or (lambda: time.time_ns() // 1000)
        self._shift_us = 0
        self._number = 0
        self._wakers: set[int] = set()
        self.lock = threading.RLock()
        self.ended = threading.Condition(self.lock)
        self.jobs: dict[str, Record] = {}
        self.claims: dict[ClaimName, dict[str, Record]] = {}
        self.lines: dict[str, list[Entry]] = {}
        self.suspects: dict[str, list[Entry]] = {}
        self.later: list[tuple[int, int, str]] = []
        self.marks: dict[str, Mark] = {}
        self.progress: dict[str, tuple[str, int]] = {}
        """What jobs have said last, and until when that is kept."""
        self.results: dict[str, StoredResult] = {}
        self.sessions: dict[str, SessionInfo] = {}
        self.orders: dict[str, str] = {}
        """Session -> the list of its orders."""
        self.ticks: dict[str, int] = {}
        self.uniques: dict[str, Member] = {}
        self.gates = Gates(self)
        self.pauses = MemoryPauses(self)
        self.claimable = self.pauses.claimable
        self.turns = Turns(self)
        self.locks: dict[str, tuple[str, int]] = {}

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        """Return this process's store of that name, so that a broker and a result store meet in it."""
        with _named_lock:
            return _named.setdefault(name, cls())

    # -- the clock ---------------------------------------------------------------------------------------------

    def drop_overdue(self, now_us: int) -> None:
        """Forget unique keys and progress whose time is over, and turns that are; under the lock."""
        for key, member in list(self.uniques.items()):
            if member.until_us is not None and member.until_us <= now_us:
                del self.uniques[key]
        self.progress = {job_id: item for job_id, item in self.progress.items() if item[1] > now_us}
        self.turns.drop_passed(now_us)

    def now_us(self) -> int:
        return self._clock() + self._shift_us

    def shift_clock(self, seconds: float) -> None:
        """Move this store's clock, forth or back, and wake who waits for it."""
        with self.lock:
            self._shift_us += round(seconds * 1_000_000)
            self.wake()

    # -- places ------------------------------------------------------------------------------------------------

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def admit(self, message: Message, now_us: int) -> bool:
        """Take in one job; False where its id is live, marked or has a stored result."""
        if self.is_known(message.id, now_us):
            return False
        at_us = now_us
        if message.eta_us is not None:
            at_us = max(now_us, message.eta_us)
        elif message.delay_us is not None:
            at_us = now_us + max(0, message.delay_us)
        expires_us = message.expires_us
        if message.expires_after_us is not None:
            expires_us = now_us + message.expires_after_us
        record = Record(
            message=message,
            enqueued_us=now_us,
            at_us=at_us,
            number=self.next_number(),
            expires_us=expires_us,
            size=len(message.body.encode()),
        )
        self.marks.pop(message.id, None)
        self.jobs[message.id] = record
        self.enter(record, now_us)
        return True

    def is_known(self, job_id: str, now_us: int) -> bool:
        """Say whether an id is live, marked or has a stored result."""
        return job_id in self.jobs or job_id in self.results or self.mark_of(job_id, now_us) is not None

    def enter(self, record: Record, now_us: int) -> None:
        """Let a job begin to wait: at its time, or at its turn."""
        if record.at_us <= now_us:
            self.turns.enter(record, now_us)
        self.place(record, now_us)

    def place(self, record: Record, now_us: int) -> None:
        """Put a job where it waits: in its line, among the suspects, or among what is due later."""
        record.claim = None
        record.started_us = None
        if record.parked:
            return
        record.later = record.at_us > now_us and not record.has_turn
        if record.later:
            heapq.heappush(self.later, (record.at_us, record.number, record.message.id))
        elif record.message.bounds is not None and not record.let_in and record.limit_key() is not None:
            self.gates.wait(record)
        else:
            lines = self.suspects if record.suspect else self.lines
            heapq.heappush(lines.setdefault(record.message.queue, []), record.entry())

    def promote(self, now_us: int) -> None:
        """Move what has become due into its line."""
        while self.later and self.later[0][0] <= now_us:
            at_us, number, job_id = heapq.heappop(self.later)
            record = self.jobs.get(job_id)
            if record and record.later and (record.at_us, record.number) == (at_us, number):
                self.enter(record, now_us)
        self.gates.open(now_us)

    def first(self, lines: dict[str, list[Entry]], queue: str) -> Record | None:
        """Return the first job of a line and drop the entries before it whose jobs stand there no more."""
        line = lines.get(queue)
        while line:
            record = self.jobs.get(line[0][3])
            if record is not None and self._stands(record, line[0], lines is self.suspects):
                return record
            heapq.heappop(line)
        if line is not None:
            del lines[queue]
        return None

    def _stands(self, record: Record, entry: Entry, suspect: bool) -> bool:
        waits = record.claim is None and not record.later and not record.parked and not record.aside
        if record.message.bounds is not None and not record.let_in and record.limit_key() is not None:
            return False
        return waits and record.suspect is suspect and record.entry() == entry

    def standing(self, queue: str) -> Iterator[Entry]:
        """Yield the places of a line, the first one first, the others in any order."""
        if self.first(self.lines, queue) is None:
            return
        for entry in self.lines[queue]:
            record = self.jobs.get(entry[3])
            if record is not None and self._stands(record, entry, suspect=False):
                yield entry

    def next_due_seconds(self, now_us: int) -> float | None:
        """Return the seconds until the earliest later job or the next start that a rate allows, or None."""
        times = [
            seconds for seconds in (self._next_later(now_us), self.gates.next_seconds(now_us)) if seconds is not None
        ]
        return min(times, default=None)

    def _next_later(self, now_us: int) -> float | None:
        while self.later:
            at_us, number, job_id = self.later[0]
            record = self.jobs.get(job_id)
            if record and record.later and (record.at_us, record.number) == (at_us, number):
                return max(0, at_us - now_us) / 1_000_000
            heapq.heappop(self.later)
        return None

    # -- ends --------------------------------------------------------------------------------------------------

    def take(self, record: Record, name: ClaimName) -> None:
        """Give a waiting job to a claim; its attempt grows."""
        record.attempt += 1
        record.claim = name
        self.claims.setdefault(name, {})[record.message.id] = record

    def let_go(self, record: Record) -> None:
        """Take a job out of its claim."""
        held = self.claims[record.claim]  # type: ignore[index]  # called for claimed jobs only
        del held[record.message.id]
        if not held:
            del self.claims[record.claim]  # type: ignore[arg-type]  # as above
        self.gates.leave(record)

    def give_back(self, record: Record, now_us: int) -> None:
        """Return a job that was let go to its place; a flagged one ends CANCELLED instead."""
        if record.cancel_requested:
            self.end(record, record.as_result(State.CANCELLED, finished_us=now_us), now_us)
        else:
            self.place(record, now_us)

    def end(self, record: Record, result: StoredResult | None, now_us: int) -> None:
        """End a job that no claim holds: its mark stays, and `result` unless it is None."""
        message = record.message
        del self.jobs[message.id]
        self._free_key(message)
        self.gates.leave(record)
        self.mark(message.id, now_us + (MARK_GIVEN_US if message.id_given else MARK_OWN_US), ended=True)
        if result is not None:
            self.keep(result)
        self.ended.notify_all()

    def _free_key(self, message: Message) -> None:
        unique = message.bounds.unique if message.bounds else None
        if unique is not None and unique.for_us is None:
            member = self.uniques.get(unique.key)
            if member is not None and member.job_id == message.id:
                del self.uniques[unique.key]

    def keep(self, result: StoredResult) -> None:
        """Store a result unless one of the same or a higher attempt is there."""
        known = self.results.get(result.id)
        if known is None or known.attempt < result.attempt:
            self.results[result.id] = result

    def append(self, record: Record, cause: str, now_us: int) -> None:
        """Note why an attempt ended that nobody settled."""
        entry = attempts.AttemptRecord(
            attempt=record.attempt, cause=cause, started_us=record.started_us, ended_us=now_us
        )
        record.attempts = attempts.append(record.attempts, entry)

    # -- marks -------------------------------------------------------------------------------------------------

    def mark(self, job_id: str, until_us: int, *, ended: bool) -> None:
        self.marks[job_id] = Mark(until_us, ended)

    def mark_of(self, job_id: str, now_us: int) -> Mark | None:
        """Return the mark of an id while its time lasts."""
        mark = self.marks.get(job_id)
        return mark if mark is not None and mark.until_us > now_us else None

    # -- waking ------------------------------------------------------------------------------------------------

    def has_ready(self, queues: Collection[str] | None) -> bool:
        """Say whether a line holds a job that anybody may claim; suspects are asked for, not waited for."""
        self.promote(self.now_us())
        return any(self.claimable(self.lines, queue) for queue in list(self.lines if queues is None else queues))

    def wake(self) -> None:
        """Make every wait of a broker return, and every wait of a result store look again."""
        for waker in self._wakers:
            try:
                os.write(waker, b"\0")
            except BlockingIOError:
                continue  # the pipe is full: whoever reads it will wake anyway
        self.ended.notify_all()

    @contextmanager
    def waker(self) -> Iterator[int]:
        """Yield a file descriptor that becomes readable at the next `wake`."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with self.lock:
            self._wakers.add(writer)
        try:
            yield reader
        finally:
            with self.lock:
                self._wakers.discard(writer)
            os.close(reader)
            os.close(writer)


_named: dict[str, MemoryStore] = {}
_named_lock = threading.Lock()
