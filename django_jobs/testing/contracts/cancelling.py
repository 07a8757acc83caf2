"""Cases of the broker's contract: cancelling a job in each of its states, and starting an ended one again."""

from __future__ import annotations

import msgspec
import pytest

from django_jobs.core.bounds import Bounds, Limit, Unique
from django_jobs.core.outcome import FINAL, Kind, StoredResult
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker, CancelAnswer
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_bound, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

WAITING = {
    "ready": None,
    "scheduled": None,
    "retrying": Kind.RETRYING,
    "snoozed": Kind.SNOOZED,
    "released": Kind.RELEASED,
    "suspect": Kind.CRASHED,
    "parked": Kind.UNKNOWN_TASK,
}
RETURNING = [Kind.RETRYING, Kind.SNOOZED, Kind.RELEASED, Kind.CRASHED, Kind.UNKNOWN_TASK]


class CancelCases(BrokerCases):
    """A cancel answers what it came to."""

    @pytest.mark.parametrize("way", WAITING)
    def test_a_waiting_job_never_starts(
        self, store: StoreHarness, broker: Broker, child: Child, results: ResultStore, way: str
    ) -> None:
        broker.enqueue_many([make_message("job", delay_us=60_000_000 if way == "scheduled" else None)])
        kind = WAITING[way]
        if kind is not None:
            child.settle(child.claim_one(), kind, delay_seconds=60)
        assert broker.cancel("job") is CancelAnswer.CANCELLED
        assert broker.state_of(["job"]) == {}
        assert results.load_many(["job"])["job"].status is State.CANCELLED
        store.advance(61)
        broker.unpark([make_message().task])
        assert child.claim() == []
        assert child.claim(suspects=True) == []
        assert broker.ready_queues() == []

    def test_a_claimed_job_is_flagged_and_may_still_finish(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        assert broker.cancel("job") is CancelAnswer.REQUESTED
        view = broker.state_of(["job"])["job"]
        assert (view.state, view.cancel_requested) == (State.RUNNING, True)
        assert child.settle(claim, result="1")
        assert results.load_many(["job"])["job"].status is State.SUCCEEDED

    @pytest.mark.parametrize("kind", [Kind.FAILED, Kind.CANCELLED])
    def test_a_flagged_job_keeps_the_end_that_it_comes_to(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.cancel("job")
        assert child.settle(claim, kind)
        assert results.load_many(["job"])["job"].status is FINAL[kind]

    @pytest.mark.parametrize("kind", RETURNING)
    def test_a_flagged_job_that_would_return_is_cancelled(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind
    ) -> None:
        broker.enqueue_many([make_message("job"), make_message("other")])
        claims = child.claim()
        broker.cancel("job")
        assert child.settle_all(claims, kind) == ()
        assert set(broker.state_of(["job", "other"])) == {"other"}
        assert results.load_many(["job"])["job"].status is State.CANCELLED

    def test_a_flagged_job_that_is_released_by_name_is_cancelled(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job"), make_message("other")])
        want = child.want()
        child.ask(want)
        broker.cancel("job")
        assert broker.release([want.name], cause="interrupted") == 2
        assert results.load_many(["job"])["job"].status is State.CANCELLED
        assert ids(child.claim()) == ["other"]

    def test_a_flagged_job_of_a_dead_session_is_cancelled(
        self, store: StoreHarness, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        child.claim_one()
        broker.cancel("job")
        store.advance(31)
        broker.rescue(timeout_seconds=30, max_crashes=3, at_most_once=())
        assert broker.state_of(["job"]) == {}
        assert results.load_many(["job"])["job"].status is State.CANCELLED

    def test_the_child_that_runs_it_learns_of_a_flag(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        running = [(claim.message.id, claim.attempt, 1_000_000) for claim in child.claim()]
        assert broker.mark_started(running) == []
        broker.cancel("b")
        assert broker.mark_started(running) == ["b"]

    def test_the_worker_learns_which_running_jobs_are_to_be_terminated(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message(name) for name in ("plain", "ended", "untouched", "waits")])
        claims = child.claim(limit=3)
        assert broker.cancels_of([claim.message.id for claim in claims]) == {}
        held = [claim.message.id for claim in claims]
        assert broker.cancel(held[0]) is CancelAnswer.REQUESTED
        assert broker.cancel(held[1], terminate=True) is CancelAnswer.REQUESTED
        assert broker.cancels_of([*held, "waits", "nobody"]) == {held[0]: False, held[1]: True}
        assert broker.state_of(held)[held[1]].cancel_requested
        assert broker.cancel(held[1]) is CancelAnswer.REQUESTED
        assert broker.cancel(held[0], terminate=True) is CancelAnswer.REQUESTED
        assert broker.cancels_of(held) == {held[0]: True, held[1]: True}
        assert broker.cancels_of([]) == {}

    def test_a_job_to_be_terminated_that_waits_never_starts(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        assert broker.cancel("job", terminate=True) is CancelAnswer.CANCELLED
        assert results.load_many(["job"])["job"].status is State.CANCELLED
        assert child.claim() == []

    def test_a_job_that_was_terminated_and_is_started_again_is_not_to_end(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.cancel("job", terminate=True)
        assert child.settle(claim, Kind.CANCELLED)
        assert broker.cancels_of(["job"]) == {}
        assert broker.requeue(results.load_many(["job"])["job"])
        child.claim_one()
        assert broker.cancels_of(["job"]) == {}
        broker.cancel("job")
        assert broker.cancels_of(["job"]) == {"job": False}

    @pytest.mark.parametrize("keep", [True, False])
    def test_an_ended_job_is_too_late(self, broker: Broker, child: Child, keep: bool) -> None:
        broker.enqueue_many([make_message("job", id_given=True)])
        child.settle(child.claim_one(), keep=keep)
        assert broker.cancel("job") is CancelAnswer.TOO_LATE
        assert broker.cancel("job") is CancelAnswer.TOO_LATE

    def test_an_unknown_id_will_never_start(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        message = make_message("job", id_given=True)
        assert broker.cancel("job") is CancelAnswer.UNKNOWN
        assert broker.enqueue_many([message]) == [False]
        store.advance(3600)
        assert broker.enqueue_many([message]) == [False]
        assert child.claim() == []

    def test_an_id_whose_mark_is_over_is_unknown_again(self, store: StoreHarness, broker: Broker) -> None:
        message = make_message("job", id_given=True)
        for _ in range(2):
            assert broker.cancel("job") is CancelAnswer.UNKNOWN
            assert broker.enqueue_many([message]) == [False]
            store.advance(90_000)

    def test_a_repeated_cancel_gives_the_same_answer(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("running"), make_message("waiting")])
        child.claim_one()
        for job_id, answer in [("running", CancelAnswer.REQUESTED), ("waiting", CancelAnswer.CANCELLED)]:
            assert [broker.cancel(job_id), broker.cancel(job_id)] == [answer, answer]

    def test_a_cancelled_jobs_id_stays_taken(self, broker: Broker) -> None:
        message = make_message("job", id_given=True)
        broker.enqueue_many([message])
        broker.cancel("job")
        assert broker.enqueue_many([message]) == [False]


class CancelManyCases(BrokerCases):
    """Several at once are each cancelled as if it were alone."""

    def test_each_gets_its_own_answer(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("running"), make_message("ended", id_given=True)])
        running, ended = child.claim()
        child.settle(ended)
        waiting = [make_message(f"q{number:04}") for number in range(260)]
        broker.enqueue_many([*waiting, make_message("later", delay_us=60_000_000), make_message("other")])
        asked = ["ended", *(message.id for message in waiting), "running", "later", "nobody", "q0000"]
        answers = dict(zip(asked[:-1], broker.cancel_many(asked)[:-1], strict=True))
        assert [answers.pop(name) for name in ("ended", "running", "nobody")] == [
            CancelAnswer.TOO_LATE,
            CancelAnswer.REQUESTED,
            CancelAnswer.UNKNOWN,
        ]
        assert set(answers.values()) == {CancelAnswer.CANCELLED}
        assert {view.id for view in broker.list()} == {"running", "other"}
        assert results.load_many(["q0259"])["q0259"].status is State.CANCELLED
        assert child.settle(running)
        assert ids(child.claim()) == ["other"]

    def test_nothing_asked_is_nothing_answered(self, broker: Broker) -> None:
        assert broker.cancel_many([]) == []

    def test_jobs_with_keys_and_limits_free_them(self, broker: Broker, child: Child) -> None:
        bounds = Bounds(unique=Unique(key="report"), limit=Limit(key="shop.mail", slots=1))
        limited = Bounds(limit=Limit(key="shop.mail", slots=1))
        broker.enqueue_many([make_bound("a", bounds=bounds), make_bound("b", bounds=limited)])
        broker.enqueue_many([make_bound("c", bounds=limited)])
        assert broker.cancel_many(["a", "b"]) == [CancelAnswer.CANCELLED, CancelAnswer.CANCELLED]
        assert broker.enqueue_many([make_bound("d", bounds=bounds)]) == [True]
        assert ids(child.claim()) == ["c"]


class RequeueCases(BrokerCases):
    """An explicit retry starts an ended job again."""

    @pytest.mark.parametrize("kind", [Kind.FAILED, Kind.CANCELLED, Kind.EXPIRED, Kind.CRASHED])
    def test_an_ended_job_starts_again_as_it_was(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind
    ) -> None:
        stored = _ended(broker, child, results, kind)
        assert broker.requeue(stored) is True
        assert results.load_many(["job"]) == {}, "the stored result gives way"
        claim = child.claim_one()
        assert claim.message == make_message("job", priority=2, id_given=True, body='{"v":1,"args":[1]}')
        assert (claim.failures, claim.crashes, claim.suspect) == (0, 0, False)
        assert claim.attempt > stored.attempt

    def test_its_next_end_is_stored(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.requeue(_ended(broker, child, results))
        assert child.settle(child.claim_one(), result="2")
        kept = results.load_many(["job"])["job"]
        assert (kept.status, kept.result, kept.failures) == (State.SUCCEEDED, "2", 0)

    def test_it_can_be_cancelled_before_it_starts(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.requeue(_ended(broker, child, results))
        assert broker.cancel("job") is CancelAnswer.CANCELLED
        assert results.load_many(["job"])["job"].status is State.CANCELLED
        assert child.claim() == []

    def test_it_happens_once(self, broker: Broker, child: Child, results: ResultStore) -> None:
        stored = _ended(broker, child, results)
        assert [broker.requeue(stored), broker.requeue(stored)] == [True, False]
        assert len(child.claim()) == 1
        assert broker.requeue(stored) is False, "a running job is live"

    def test_an_end_that_has_changed_meanwhile_is_left_alone(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        stored = _ended(broker, child, results)
        broker.requeue(stored)
        child.settle(child.claim_one(), Kind.FAILED)
        assert broker.requeue(stored) is False, "the stored attempt is a later one"
        latest = results.load_many(["job"])["job"]
        assert broker.requeue(msgspec.structs.replace(latest, status=State.CANCELLED)) is False
        assert results.load_many(["job"]) == {"job": latest}
        assert child.claim() == []

    def test_a_forgotten_job_cannot_start_again(self, broker: Broker, child: Child, results: ResultStore) -> None:
        stored = _ended(broker, child, results)
        results.forget(["job"])
        assert broker.requeue(stored) is False
        assert child.claim() == []

    def test_its_old_fence_is_stale(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("job")])
        old = child.claim_one()
        child.settle(old, Kind.FAILED)
        broker.requeue(results.load_many(["job"])["job"])
        assert not child.settle(old)
        assert len(child.claim()) == 1

    def test_it_wakes_up_in_its_own_queue(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.requeue(_ended(broker, child, results))
        assert broker.ready_queues() == ["default"]
        assert [stats.queued for stats in broker.stats()] == [1]


def _ended(broker: Broker, child: Child, results: ResultStore, kind: Kind = Kind.FAILED) -> StoredResult:
    broker.enqueue_many([make_message("job", priority=2, id_given=True, body='{"v":1,"args":[1]}')])
    child.settle(child.claim_one(), Kind.RETRYING)
    crashed = {"charged": True, "max_crashes": 1} if kind is Kind.CRASHED else {}
    assert child.settle(child.claim_one(), kind, **crashed)
    return results.load_many(["job"])["job"]
