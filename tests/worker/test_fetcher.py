"""A child's line and its outcomes, driven step by step over the memory broker."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from django_jobs.core.claim import Want
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.states import State
from django_jobs.testing.child import Child
from django_jobs.worker.fetcher import COALESCE_SECONDS, Fetcher
from django_jobs.worker.layout import ChildWord, Held, Word
from django_jobs.worker.leave import Leave
from django_jobs.worker.settle import HeldClaim
from tests.worker.conftest import SESSION, Desk, make_spec


def test_all_that_is_due_is_run_in_its_order_and_nothing_is_left_open(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=200)
    fetcher = desk.fetcher()

    assert desk.drain(fetcher) == ids

    assert fetcher.leave is Leave.DRAINED
    assert desk.ended == set(ids)
    assert desk.slots.open_claims() == set()
    assert desk.slots.jobs() == []
    assert desk.broker.renew(desk.broker.sessions()[0]).held == ()


def test_claims_grow_at_most_fourfold(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=400)
    wants: list[Want] = []
    desk.broker.on_want = wants.append

    desk.drain(desk.fetcher(), 0.0001)

    limits = [want.limit for want in wants]
    assert limits[0] == 1
    assert max(limits) > 64
    assert all(later <= 4 * earlier for earlier, later in pairwise(limits[: limits.index(max(limits)) + 1]))


def test_long_jobs_are_claimed_one_at_a_time(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue("long", count=10)
    fetcher = desk.fetcher()

    while (held := fetcher.next()) is not None:
        assert desk.held() == 1
        desk.succeed(fetcher, held, 1.0)


def test_an_outcome_is_settled_before_a_job_that_may_be_long_starts(desk: Desk) -> None:
    desk.open_session()
    fetcher = desk.fetcher()
    short = desk.enqueue("short", count=40)
    for _ in range(39):
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    desk.enqueue("long")

    last = desk.succeed(fetcher, fetcher.next(), 0.0001)
    held = fetcher.next()

    assert held is not None
    assert held.claim.message.task == "long"
    assert last == short[-1]
    assert desk.ended == set(short)


def test_outcomes_wait_at_most_five_milliseconds_behind_short_jobs(desk: Desk) -> None:
    desk.open_session()
    fetcher = desk.fetcher()
    desk.enqueue("short", count=100)
    while desk.slots[ChildWord.WAITING] < 3:
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    fetcher.flush(claiming=False)
    before = len(desk.ended)

    desk.succeed(fetcher, fetcher.next(), 0.0001)
    assert len(desk.ended) == before
    desk.now += 2 * COALESCE_SECONDS
    desk.succeed(fetcher, fetcher.next(), 0.0001)

    assert len(desk.ended) == before + 2


def test_the_helper_settles_while_the_runner_is_inside_a_job(desk: Desk) -> None:
    desk.open_session()
    fetcher = desk.fetcher()
    ids = desk.enqueue(count=2)
    first = fetcher.next()
    helper = threading.Thread(target=fetcher.help_settling)
    helper.start()

    desk.succeed(fetcher, first)
    desk.now += 1
    with desk.store.lock:
        assert desk.store.ended.wait_for(lambda: ids[0] in desk.store.results, timeout=10)
    fetcher.close()
    helper.join(10)

    assert not helper.is_alive()


def test_a_lost_answer_is_asked_for_again_and_nothing_is_run_twice(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=30)
    fetcher = desk.fetcher()
    done = []

    while (held := fetcher.next()) is not None:
        done.append(desk.succeed(fetcher, held))
        desk.broker.failures = int(len(done) % 10 == 0)
    fetcher.close()

    assert done == ids
    assert fetcher.settler.stale == 0
    assert desk.slots.open_claims() == set()


def test_the_culprit_of_a_refused_batch_fails_and_the_others_are_settled(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.open_session()
    ids = desk.enqueue(count=30)
    fetcher = desk.fetcher()
    desk.broker.refuses = lambda outcome: outcome.id == ids[7] and outcome.kind is Kind.SUCCEEDED

    desk.drain(fetcher)

    failed = {job_id for job_id, stored in desk.store.results.items() if stored.status is State.FAILED}
    assert failed == {ids[7]}
    assert desk.ended == set(ids)
    assert "could not be stored" in desk.store.results[ids[7]].error_message
    assert "one by one" in caplog.text


def test_a_stale_outcome_is_counted_and_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.open_session()
    [job_id] = desk.enqueue()
    fetcher = desk.fetcher()
    held = fetcher.next()
    assert held is not None
    desk.broker.release([held.claim.name], cause="forgotten")

    desk.succeed(fetcher, held)
    fetcher.flush(claiming=False)

    assert fetcher.settler.stale == 1
    assert "was refused" in caplog.text
    assert job_id not in desk.ended


def test_nothing_starts_and_nothing_is_claimed_past_the_fence(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=3)
    fetcher = desk.fetcher()
    desk.succeed(fetcher, fetcher.next())
    desk.shared.floats[Word.FENCE_AT] = desk.now
    taken = []
    runner = threading.Thread(target=lambda: taken.append(fetcher.next()))
    runner.start()
    runner.join(0.2)
    assert runner.is_alive()
    assert desk.slots[ChildWord.STARTED] == 1

    desk.open_fence()
    runner.join(10)

    assert [held is not None for held in taken] == [True]


def test_what_has_ended_is_settled_past_the_fence(desk: Desk) -> None:
    desk.open_session()
    [job_id] = desk.enqueue()
    fetcher = desk.fetcher()
    held = fetcher.next()
    desk.shared.floats[Word.FENCE_AT] = desk.now

    desk.succeed(fetcher, held)
    fetcher.flush()

    assert desk.ended == {job_id}


def test_a_stop_gives_back_the_line_uncharged(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=100)
    fetcher = desk.fetcher()
    while desk.slots[ChildWord.WAITING] < 3:
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    held = fetcher.next()
    desk.shared.stopping = True

    desk.succeed(fetcher, held)
    assert fetcher.next() is None
    fetcher.close()

    assert fetcher.leave is Leave.STOPPING
    live = desk.broker.state_of(ids)
    assert set(ids) == set(live) | desk.ended
    assert {(view.state, view.failures, view.crashes, view.suspect) for view in live.values()} == {
        (State.QUEUED, 0, 0, False)
    }
    assert desk.slots.jobs() == []


def test_a_job_that_the_keeper_has_struck_is_not_started(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=100)
    fetcher = desk.fetcher()
    while desk.slots[ChildWord.WAITING] < 3:
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    with desk.slots.locked() as taken:
        assert taken
        struck = {job.id for job in desk.slots.strike(1)}

    held = fetcher.next()

    assert held is not None
    assert held.claim.message.id not in struck
    assert len(struck) >= 3


def test_a_suspect_is_claimed_alone_and_by_a_child_that_holds_nothing(desk: Desk) -> None:
    desk.open_session()
    [suspect] = desk.enqueue()
    fetcher = desk.fetcher()
    held = fetcher.next()
    assert held is not None
    crash(desk, fetcher, held)
    desk.enqueue(count=5)
    desk.shared.words[Word.SUSPECTS_MADE] += 1

    again = fetcher.next()

    assert again is not None
    assert (again.claim.message.id, again.claim.suspect, desk.held()) == (suspect, True, 1)


def test_a_child_with_two_runners_that_is_never_idle_makes_room_for_a_suspect(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=200)
    fetcher = desk.fetcher(runners=2, burst=False)
    long = fetcher.next()
    other = make_suspect(desk)
    wants: list[Want] = []
    desk.broker.on_want = wants.append

    def busy(seconds: int) -> None:
        """Take jobs one by one beside the long one."""
        for _ in range(10 * seconds):
            desk.now += 0.1
            desk.succeed(fetcher, fetcher.next(), 0.1)

    busy(4)
    assert wants
    desk.now += 3
    while desk.slots[ChildWord.WAITING]:
        desk.succeed(fetcher, fetcher.next(), 0.1)
    wants.clear()
    taken: list[HeldClaim | None] = []
    helper = threading.Thread(target=fetcher.help_settling)
    runner = threading.Thread(target=lambda: taken.append(fetcher.next()))
    for thread in (helper, runner):
        thread.start()
    runner.join(0.2)
    assert (runner.is_alive(), wants) == (True, [])

    desk.succeed(fetcher, long)
    runner.join(10)

    [suspect] = taken
    assert suspect is not None
    assert (suspect.claim.message.id, desk.held()) == (other, 1)
    desk.succeed(fetcher, suspect)
    assert fetcher.next() is not None
    fetcher.close()
    helper.join(10)


def test_suspects_are_taken_one_after_the_other_without_a_pause(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=25)
    for _ in range(25):
        make_suspect(desk)
    desk.enqueue(count=3)
    wants: list[Want] = []
    desk.broker.on_want = wants.append

    begun = time.monotonic()
    assert len(desk.drain(desk.fetcher())) == 28

    assert time.monotonic() - begun < 10, "one a second takes 25 s"
    asked = [want.suspects for want in wants]
    assert not all(asked[:12]), "ordinary jobs have their turn between suspects"


def test_a_suspect_that_an_idle_child_takes_does_not_hold_a_busy_one_back(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=200)
    fetcher = desk.fetcher(runners=2)
    fetcher.next()
    make_suspect(desk)
    for second in range(20):
        desk.now += 1
        desk.succeed(fetcher, fetcher.next(), 0.1)
        if second == 2:
            Child(desk.broker, "idle").claim_suspect()


def test_two_runners_share_one_line_and_lose_nothing(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=300)
    fetcher = desk.fetcher(runners=2)
    done: list[str] = []

    def work() -> None:
        while (held := fetcher.next()) is not None:
            done.append(desk.succeed(fetcher, held, 0.001))

    runners = [threading.Thread(target=work) for _ in range(2)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(30)
    fetcher.close()

    assert sorted(done) == sorted(ids)
    assert desk.ended == set(ids)


def test_jobs_of_at_most_once_tasks_are_flagged_for_the_keeper(desk: Desk) -> None:
    desk.open_session()
    desk.specs["once"] = make_spec("once", acks_late=False)
    desk.enqueue("once")

    desk.fetcher().next()

    [job] = desk.slots.jobs()
    assert (job.state, job.flags.name) == (Held.RUNNING, "AT_MOST_ONCE")


def test_a_claim_is_published_before_it_is_asked_for(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue()
    seen: list[Want] = []

    def look(want: Want) -> None:
        assert (want.name.child, want.name.number) in desk.slots.open_claims()
        assert want.name.session == SESSION
        seen.append(want)

    desk.broker.on_want = look

    desk.drain(desk.fetcher())

    assert len(seen) >= 2


def make_suspect(desk: Desk) -> str:
    """Let a child of another session crash with the next job; return its id."""
    child = Child(desk.broker, "crashing")
    claim = child.claim_one()
    child.settle(claim, Kind.CRASHED)
    return claim.message.id


def crash(desk: Desk, fetcher: Fetcher, held: HeldClaim) -> None:
    """Make a suspect of a running job, as a keeper does after the death of its child."""
    claim = held.claim
    outcome = Outcome(
        id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=Kind.CRASHED, charged=True, max_crashes=3
    )
    fetcher.finish(held, outcome, None)
    fetcher.flush(claiming=False)
