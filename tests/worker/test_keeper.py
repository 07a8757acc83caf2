"""The keeper's duties, driven step by step over the memory broker."""

from __future__ import annotations

import json
import signal

import pytest

from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.session import SessionState
from django_jobs.core.states import State
from django_jobs.ports.broker import CancelAnswer
from django_jobs.testing.child import Child, make_session
from django_jobs.worker.deaths import DeadChild, outcomes_of
from django_jobs.worker.layout import RECORD_WORDS, ChildWord, Death, Flag, Held, HeldJob, Word
from tests.worker.conftest import SESSION, Desk

NO_FLAGS = Flag(0)


def die(desk: Desk, death: Death = Death.CRASHED, status: int = signal.SIGKILL) -> None:
    desk.slots.set(ChildWord.DEATH_STATUS, status)
    desk.slots.set(ChildWord.DEATH, death)


def test_the_first_step_opens_the_session_and_the_fence(desk: Desk) -> None:
    desk.shared.floats[Word.FENCE_AT] = 0.0
    keeper = desk.keeper()

    keeper.step()

    assert [session.id for session in desk.broker.sessions()] == [SESSION]
    assert desk.shared.floats[Word.FENCE_AT] == desk.now + 4
    assert desk.shared.words[Word.SESSION_OPEN]


def test_a_replaced_keeper_does_not_open_a_session_that_was_declared_dead(desk: Desk) -> None:
    desk.keeper().step()
    desk.advance(60)
    desk.broker.rescue(timeout_seconds=6, max_crashes=3, at_most_once=())

    desk.keeper().step()

    assert desk.shared.words[Word.DEAD]
    assert "supervisor" in desk.pokes


def test_the_fence_moves_with_each_renewal(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    for _ in range(3):
        desk.advance(1)
        keeper.step()
        assert desk.shared.floats[Word.FENCE_AT] == desk.now + 4


def test_nothing_is_renewed_for_a_supervisor_without_a_sign(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    fence = desk.shared.floats[Word.FENCE_AT]

    desk.now += 3  # more than a third of the timeout; `advance` would give the sign
    keeper.step()

    assert desk.shared.floats[Word.FENCE_AT] == fence


def test_a_crash_is_charged_to_the_job_that_ran_alone(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [running] = desk.enqueue(count=1)
    held = desk.fetcher().next()
    assert held is not None
    die(desk)

    keeper.step()

    view = desk.broker.state_of([running])[running]
    assert (view.state, view.crashes, view.suspect) == (State.QUEUED, 1, True)
    [entry] = json.loads(view.attempts)
    assert (entry["cause"], "SIGKILL" in entry["message"]) == ("crash", True)
    assert desk.slots[ChildWord.DEATH] == desk.slots[ChildWord.PID] == 0
    assert {"supervisor", "children"} <= set(desk.pokes)


def test_what_waited_in_a_dead_child_goes_back_uncharged(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    fetcher = desk.fetcher()
    desk.enqueue(count=40)
    while desk.slots[ChildWord.WAITING] < 3:
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    waiting = [job.id for job in desk.slots.jobs() if job.state == 1]
    die(desk)

    keeper.step()

    views = desk.broker.state_of(waiting)
    assert {(view.state, view.crashes, view.suspect) for view in views.values()} == {(State.QUEUED, 0, False)}
    assert desk.broker.renew(make_session(SESSION)).held == ()


def test_a_death_by_our_own_signal_is_not_charged(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue()
    desk.fetcher().next()
    die(desk, Death.INTERRUPTED)

    keeper.step()

    view = desk.broker.state_of([job_id])[job_id]
    assert (view.state, view.crashes, view.suspect) == (State.QUEUED, 0, False)


def test_a_death_is_settled_once_the_store_is_back(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue()
    desk.fetcher().next()
    die(desk)
    desk.broker.failures = 1

    assert 0 < keeper.step() <= 0.1
    assert desk.slots[ChildWord.DEATH]
    keeper.step()

    assert not desk.slots[ChildWord.DEATH]
    assert desk.broker.state_of([job_id])[job_id].crashes == 1


def test_a_claim_that_nobody_names_is_released_at_the_second_renewal(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue()
    assert Child(desk.broker, SESSION, incarnation=9, opened=True).claim()

    desk.advance(1)
    keeper.step()
    assert desk.broker.state_of([job_id])[job_id].state is State.RUNNING
    desk.advance(1)
    keeper.step()

    assert desk.broker.state_of([job_id])[job_id].state is State.QUEUED


def test_a_claim_that_is_named_is_kept(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue()
    desk.fetcher().next()

    for _ in range(4):
        desk.advance(1)
        keeper.step()

    assert desk.broker.state_of([job_id])[job_id].state is State.RUNNING


def test_the_dead_are_rescued_only_after_two_renewals_of_its_own(desk: Desk) -> None:
    other = Child(desk.broker, "other")
    [job_id] = desk.enqueue()
    other.claim()
    desk.advance(60)
    keeper = desk.keeper()

    keeper.step()
    desk.advance(1)
    keeper.step()
    assert desk.broker.state_of([job_id])[job_id].state is State.RUNNING
    desk.advance(1)
    keeper.step()

    assert desk.broker.state_of([job_id])[job_id].state is State.QUEUED
    assert "children" in desk.pokes


def test_a_gap_in_its_own_renewals_begins_the_count_anew(desk: Desk) -> None:
    keeper = desk.keeper()
    for _ in range(3):
        keeper.step()
        desk.advance(1)
    other = Child(desk.broker, "other")
    [job_id] = desk.enqueue()
    other.claim()
    desk.advance(5.5)
    keeper.step()
    desk.advance(1)
    keeper.step()

    assert desk.broker.state_of([job_id])[job_id].state is State.RUNNING


def test_a_job_that_runs_long_is_marked_once(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue()
    desk.fetcher().next()
    [job] = desk.slots.jobs()
    desk.shared.words[desk.slots._records + 3] = job.started_us - 2_000_000

    keeper.watch()

    assert desk.broker.state_of([job_id])[job_id].started_us == job.started_us - 2_000_000
    [job] = desk.slots.jobs()
    assert Flag.MARKED in job.flags


def test_what_waits_longer_than_a_second_is_struck_and_given_back(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    fetcher = desk.fetcher()
    desk.enqueue(count=40)
    while desk.slots[ChildWord.WAITING] < 3:
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    held = fetcher.next()
    waiting = [job.id for job in desk.slots.jobs() if job.state == 1]
    keeper.watch()
    assert desk.slots[ChildWord.WAITING] == len(waiting)

    desk.advance(1.1)
    keeper.watch()

    assert desk.slots[ChildWord.WAITING] == 0
    assert {view.state for view in desk.broker.state_of(waiting).values()} == {State.QUEUED}
    desk.succeed(fetcher, held)
    fetcher.flush(claiming=False)
    assert fetcher.settler.stale == 0


def test_parked_jobs_of_known_tasks_are_put_in_line_at_the_start(desk: Desk) -> None:
    child = Child(desk.broker, "other")
    [job_id] = desk.enqueue()
    child.settle(child.claim_one(), Kind.UNKNOWN_TASK)
    assert desk.broker.state_of([job_id])[job_id].parked

    desk.keeper().step()

    assert not desk.broker.state_of([job_id])[job_id].parked


def test_results_are_pruned_when_their_time_is_over(desk: Desk) -> None:
    child = Child(desk.broker, "other")
    kept, dropped = desk.enqueue(count=2)
    claims = {claim.message.id: claim for claim in child.claim()}
    child.settle(claims[dropped])
    child.settle(claims[kept], Kind.FAILED)
    desk.advance(8 * 86_400)

    desk.keeper().maintain()

    assert desk.ended == {kept}


def test_the_session_is_closed_at_the_end(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    desk.shared.words[Word.CLOSING] = 1

    assert keeper.run() == 0

    assert [session for session in desk.broker.sessions() if session.state is not SessionState.DEAD] == []


@pytest.mark.parametrize("flags", [Flag(0), Flag.AT_MOST_ONCE])
def test_outcomes_of_the_dead_carry_the_fence_of_their_claim(desk: Desk, flags: Flag) -> None:
    job = HeldJob(place=0, id="j", attempt=4, number=9, state=Held.RUNNING, flags=flags, started_us=1)
    dead = DeadChild(session="s", incarnation=2, pid=7, death=Death.CRASHED, exit_code=-11, memory_bytes=0, jobs=[job])

    [outcome] = outcomes_of(dead, max_crashes=3, worker="w", now_us=2)

    assert isinstance(outcome, Outcome)
    assert (outcome.name, outcome.attempt) == (ClaimName("s", 2, 9), 4)
    assert outcome.kind is (Kind.FAILED if flags else Kind.CRASHED)
    assert outcome.error is not None
    assert "SIGSEGV" in outcome.error.message


@pytest.mark.parametrize(("death", "cause"), [(Death.CRASHED, "crash"), (Death.INTERRUPTED, "interrupted")])
@pytest.mark.parametrize("flags", [Flag(0), Flag.AT_MOST_ONCE])
def test_a_job_that_had_ended_unsettled_starts_again_with_a_recorded_cause_or_never(
    flags: Flag, death: Death, cause: str
) -> None:
    [outcome] = outcomes_of(dead(death, held_job(Held.DONE, flags=flags)), max_crashes=3, worker="w", now_us=2)

    assert outcome.kind is (Kind.FAILED if flags else Kind.RELEASED)
    assert (outcome.error is None, outcome.charged) == (not flags, False)
    assert outcome.record is not None
    assert (outcome.record.cause, outcome.record.attempt, outcome.record.started_us) == (cause, 4, 1)
    assert "had ended" in outcome.record.message


@pytest.mark.parametrize("death", [Death.CRASHED, Death.INTERRUPTED])
@pytest.mark.parametrize("state", [Held.WAITING, Held.DONE, Held.STRUCK])
def test_what_had_not_started_goes_back_without_a_record(state: Held, death: Death) -> None:
    job = held_job(state, started_us=0, flags=Flag.AT_MOST_ONCE)

    [outcome] = outcomes_of(dead(death, job), max_crashes=3, worker="w", now_us=2)

    assert (outcome.kind, outcome.record, outcome.error) == (Kind.RELEASED, None, None)


def held_job(state: Held, *, flags: Flag = NO_FLAGS, started_us: int = 1) -> HeldJob:
    return HeldJob(place=0, id="j", attempt=4, number=9, state=state, flags=flags, started_us=started_us)


def dead(death: Death, *jobs: HeldJob) -> DeadChild:
    return DeadChild(session="s", incarnation=2, pid=7, death=death, exit_code=-9, memory_bytes=0, jobs=jobs)


def test_several_that_ran_become_suspects_and_only_suspects_are_charged() -> None:
    def job(name: str, state: Held, flags: Flag = NO_FLAGS) -> HeldJob:
        return HeldJob(place=0, id=name, attempt=1, number=1, state=state, flags=flags, started_us=1)

    jobs = [
        job("a", Held.RUNNING),
        job("b", Held.RUNNING, Flag.SUSPECT),
        job("waited", Held.WAITING),
        job("ended", Held.DONE),
    ]
    dead = DeadChild(session="s", incarnation=1, pid=1, death=Death.CRASHED, exit_code=-9, memory_bytes=0, jobs=jobs)

    kinds = {
        outcome.id: (outcome.kind, outcome.charged)
        for outcome in outcomes_of(dead, max_crashes=3, worker="w", now_us=2)
    }

    assert kinds == {
        "a": (Kind.CRASHED, False),
        "b": (Kind.CRASHED, True),
        "waited": (Kind.RELEASED, False),
        "ended": (Kind.RELEASED, False),
    }


def test_the_keeper_asks_for_cancels_of_jobs_that_have_run_for_a_while(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    fetcher = desk.fetcher()
    ids = desk.enqueue("long", 2)
    running = [fetcher.next(), fetcher.next()]
    assert all(running)
    assert desk.broker.cancel(ids[0], terminate=True) is CancelAnswer.REQUESTED
    assert desk.broker.cancel(ids[1]) is CancelAnswer.REQUESTED
    desk.advance(1)
    keeper.step()
    assert desk.slots[ChildWord.CANCELS] == 0  # by the wall clock they have just begun
    grow_old(desk)
    desk.pokes.clear()
    desk.advance(1)

    keeper.step()

    flags = {job.id: job.flags & (Flag.CANCELLED | Flag.TERMINATE) for job in desk.slots.jobs()}
    assert flags == {ids[0]: Flag.TERMINATE, ids[1]: Flag.CANCELLED}
    assert desk.slots[ChildWord.CANCELS] == 2
    assert "supervisor" in desk.pokes
    for held in running:
        desk.succeed(fetcher, held)
    desk.advance(1)
    keeper.step()
    assert desk.slots[ChildWord.CANCELS] == 0


def grow_old(desk: Desk) -> None:
    """Make the jobs that run have started a second earlier."""
    for job in desk.slots.jobs():
        word = desk.slots._records + job.place * RECORD_WORDS + 3
        desk.slots._words[word] -= 1_000_000


@pytest.mark.parametrize("death", [Death.INTERRUPTED, Death.CRASHED])
def test_a_doomed_job_of_a_dead_child_ends_cancelled_and_those_beside_it_go_back(death: Death) -> None:
    jobs = [
        HeldJob(place, name, 1, 1, Held.RUNNING, flags, started_us=1)
        for place, (name, flags) in enumerate({"doomed": Flag.TERMINATE, "beside": NO_FLAGS}.items())
    ]
    dead = DeadChild(
        session=SESSION, incarnation=1, pid=1, death=death, exit_code=-9, memory_bytes=0, jobs=jobs, terminated=True
    )

    doomed, beside = outcomes_of(dead, max_crashes=3, worker="w", now_us=2_000_001)

    assert (doomed.kind, doomed.charged) == (Kind.CANCELLED, False)
    assert doomed.record is not None
    assert doomed.record.cause == "cancelled"
    assert beside.kind is (Kind.RELEASED if death is Death.INTERRUPTED else Kind.CRASHED)
    assert beside.record is not None
    assert "a job beside it was cancelled" in beside.record.message
