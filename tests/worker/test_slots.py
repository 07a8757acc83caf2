"""The shared table: what one process writes, another one reads; and what becomes of a lock whose holder was killed."""

from __future__ import annotations

import os
import signal

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.worker.layout import MAX_HELD, MAX_OPEN_CLAIMS, ChildWord, Flag, Held
from django_jobs.worker.slots import Shared
from django_jobs.worker.wake import Wake


def claims(count: int, *, number: int = 1) -> list[Claim]:
    return [
        Claim(
            message=Message(id=f"job-{index}" + "x" * 50, task="t", queue="q", body="{}"),
            name=ClaimName("s", 1, number),
            attempt=index + 1,
        )
        for index in range(count)
    ]


def test_a_job_goes_from_waiting_over_running_to_done_and_its_place_is_free_again() -> None:
    slots = Shared(1).children[0]
    [index] = slots.put(claims(1, number=7), [Flag.SUSPECT], 1.0)
    assert slots.jobs()[0].state is Held.WAITING

    assert slots.start(index, 2.0, 123)
    [job] = slots.jobs()
    assert (job.id, job.attempt, job.number, job.state) == ("job-0" + "x" * 50, 1, 7, Held.RUNNING)
    assert (job.flags, job.started_us) == (Flag.SUSPECT, 123)
    assert (slots[ChildWord.RUNNING], slots[ChildWord.WAITING], slots.seconds(ChildWord.PROGRESS)) == (1, 0, 2.0)

    slots.flag(index, 1, Flag.MARKED)
    slots.done(index)
    assert (slots.jobs()[0].state, slots[ChildWord.RUNNING]) == (Held.DONE, 0)
    slots.free(index)
    assert slots.jobs() == []
    assert slots.room == MAX_HELD


def test_what_is_struck_cannot_be_started_nor_given_back() -> None:
    slots = Shared(1).children[0]
    slots.reset(pid=1, incarnation=3)
    first, second, third = slots.put(claims(3), [0, 0, 0], 1.0)
    slots.start(first, 1.0, 1)

    with slots.locked():
        assert slots.strike(2) == []  # another incarnation
        assert [job.place for job in slots.strike(3)] == [second, third]

    assert not slots.start(second, 1.0, 1)
    assert not slots.withhold(third)
    assert slots[ChildWord.WAITING] == 0


def test_a_mark_meant_for_another_attempt_is_not_set() -> None:
    slots = Shared(1).children[0]
    [index] = slots.put(claims(1), [0], 1.0)
    slots.start(index, 1.0, 1)

    slots.flag(index, 99, Flag.MARKED)

    assert slots.jobs()[0].flags == Flag(0)


def test_there_are_only_so_many_open_claims() -> None:
    slots = Shared(1).children[0]
    slots.reset(pid=1, incarnation=5)

    assert all(slots.publish(number) for number in range(1, MAX_OPEN_CLAIMS + 1))
    assert not slots.publish(1000)
    slots.withdraw(3)
    assert slots.publish(1000)
    assert slots.open_claims() == {(5, n) for n in [*range(1, MAX_OPEN_CLAIMS + 1), 1000] if n != 3}


def test_another_process_sees_what_a_child_wrote_before_it_died_with_the_lock() -> None:
    shared = Shared(2)
    slots = shared.children[1]
    wake = Wake()
    pid = os.fork()
    if not pid:  # pragma: no cover  the child's half of the test
        slots.publish(9)
        slots.start(slots.put(claims(2), [0, 0], 1.0)[0], 1.0, 5)
        slots._enter()
        wake.poke()
        signal.pause()
    assert wake.wait(20)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with slots.locked() as taken:
        assert not taken

    slots.break_lock()

    with slots.locked() as taken:
        assert taken
    assert [job.state for job in slots.jobs()] == [Held.RUNNING, Held.WAITING]
    assert {number for _, number in slots.open_claims()} == {9}
    assert shared.children[0].jobs() == []
    wake.close()


def test_a_lock_that_was_broken_under_a_live_holder_is_one_lock_afterwards() -> None:
    slots = Shared(1).children[0]
    with slots.locked() as first:
        assert first
        slots.break_lock()

    with slots.locked() as again:
        assert again
        with slots.locked() as second:
            assert not second


def test_tickets_are_given_once_each() -> None:
    shared = Shared(1)

    assert [shared.take_ticket(2) for _ in range(4)] == [True, True, False, False]
