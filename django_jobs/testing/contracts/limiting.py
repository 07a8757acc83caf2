"""Cases of the broker's contract: jobs that wait for each other, by number and by rate."""

from __future__ import annotations

from typing import Any

import pytest

from django_jobs.core.bounds import Bounds, Limit, Unique
from django_jobs.core.claim import Claim
from django_jobs.core.message import Message
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker, CancelAnswer, Taken
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import TASK, Child, ids, make_bound, make_message, make_outcome
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

SECOND = 1_000_000


def limited(job_id: str, key: str = "shop.mail", *, slots: int | None = 1, **fields: Any) -> Message:
    """Return a job of a key with so many places."""
    of_limit = {name: fields.pop(name) for name in ("period_us", "burst") if name in fields}
    return make_bound(job_id, bounds=Bounds(limit=Limit(key=key, slots=slots, **of_limit)), **fields)


def paced(job_id: str, key: str = "shop.mail", **fields: Any) -> Message:
    """Return a job of a key of which one starts each 10 seconds."""
    return limited(job_id, key, **{"slots": None, "period_us": 10 * SECOND, **fields})


class ConcurrencyCases(BrokerCases):
    """A key has so many places; a job has one from the moment that it is let through to the end of its claim."""

    def test_a_limited_job_comes_out_as_it_went_in(self, broker: Broker, child: Child) -> None:
        message = limited("a", slots=3, period_us=SECOND, burst=2, priority=3)
        assert broker.enqueue_many([message]) == [True]
        assert child.claim_one().message == message
        assert broker.enqueue_unique([message]) == [Taken("a", is_new=False)]

    def test_no_more_are_claimed_than_there_are_places(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([limited(job_id, slots=2) for job_id in "abcde"])
        assert ids(child.claim()) == ["a", "b"]
        assert other.claim() == []

    def test_who_ends_a_job_lets_the_next_one_through(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([limited(job_id, slots=2) for job_id in "abcde"])
        first, second = child.claim()
        assert child.settle(second)
        assert ids(other.claim()) == ["c"]
        answer = child.ask(child.want(), [make_outcome(first)])
        assert (answer.stale, ids(answer.claims)) == ((), ["d"]), "in one round"

    def test_jobs_without_a_limit_pass_by(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b"), make_message("x"), limited("c", "other"), make_message("y")])
        assert sorted(ids(child.claim())) == ["a", "c", "x", "y"]

    def test_the_first_in_line_is_let_through_first(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b"), limited("c", priority=5), limited("d", priority=5)])
        order = []
        while claims := child.claim():
            order += ids(claims)
            child.settle_all(claims)
        assert order == ["c", "d", "a", "b"]

    def test_the_queue_of_each_job_stays_its_own(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a", queue="one"), limited("b", queue="two")])
        assert child.claim("two") == []
        first = child.claim("one")
        assert ids(first) == ["a"]
        assert child.claim("two") == []
        child.settle_all(first)
        assert broker.ready_queues() == ["two"]
        assert ids(child.claim("two")) == ["b"]

    @pytest.mark.parametrize("kind", [Kind.SUCCEEDED, Kind.FAILED, Kind.EXPIRED, Kind.CANCELLED])
    def test_every_end_frees_a_place(self, broker: Broker, child: Child, kind: Kind) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        assert child.settle(child.claim_one(), kind)
        assert ids(child.claim()) == ["b"]

    def test_a_retry_frees_its_place_while_it_waits(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        child.settle(child.claim_one(), Kind.RETRYING, delay_seconds=60.0)
        second = child.claim_one()
        assert second.message.id == "b"
        store.advance(61)
        assert child.claim() == [], "a is due, and waits for b"
        assert broker.state_of(["a"])["a"].parked == "limit"
        child.settle(second)
        again = child.claim_one()
        assert (again.message.id, again.attempt, again.failures) == ("a", 2, 1)

    def test_a_job_comes_back_to_its_limit_when_nobody_else_knows_it(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([limited("a")])
        child.settle(child.claim_one(), Kind.RETRYING, delay_seconds=60.0)
        store.advance(61)
        child.settle(child.claim_one(), Kind.UNKNOWN_TASK)
        broker.enqueue_many([limited("b")])
        child.settle(child.claim_one())
        assert broker.unpark([TASK]) == 1
        broker.enqueue_many([limited("c")])
        again = child.claim_one()
        assert (again.message.id, again.attempt) == ("a", 3)
        child.settle(again)
        assert ids(child.claim()) == ["c"]

    def test_a_released_job_is_the_next_one_again(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        assert broker.release([child.claim_one().name], cause="shutdown") == 1
        claim = child.claim_one()
        assert (claim.message.id, claim.attempt) == ("a", 2)
        assert child.claim() == []

    def test_a_suspect_waits_for_its_place_too(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=3)
        assert child.claim() == [], "its place is taken: it comes first, and is claimed alone"
        suspect = child.claim_suspect()
        assert suspect.message.id == "a"
        assert child.settle(suspect)
        assert ids(child.claim()) == ["b"]

    def test_a_dead_session_frees_its_places(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([limited("a", slots=2), limited("b", slots=2), limited("c", slots=2)])
        assert len(child.claim()) == 2
        broker.close_session(child.session)
        assert broker.rescue(timeout_seconds=30, max_crashes=3, at_most_once=["tests.jobs.noop"]).jobs == 2
        assert ids(other.claim()) == ["c"]

    def test_an_unknown_task_frees_its_place_and_waits_again_when_it_is_known(
        self, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        child.settle(child.claim_one(), Kind.UNKNOWN_TASK)
        second = child.claim_one()
        assert broker.unpark([second.message.task]) == 1
        assert child.claim() == []
        child.settle(second)
        assert ids(child.claim()) == ["a"]

    def test_a_waiting_job_can_be_cancelled_and_leaves_its_place_to_others(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited(job_id) for job_id in "abcd"])
        first = child.claim_one()
        assert broker.cancel("b") is CancelAnswer.CANCELLED
        assert child.settle(first)
        assert broker.cancel("c") is CancelAnswer.CANCELLED, "it was let through, and not claimed"
        assert ids(child.claim()) == ["d"]

    def test_a_waiting_job_is_shown_as_parked(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("a"), limited("b"), make_message("x")])
        child.claim()
        view = broker.state_of(["b"])["b"]
        assert (view.state, view.parked) == (State.QUEUED, "limit")
        assert [view.id for view in broker.list(parked=True)] == ["b"]
        assert sorted(view.id for view in broker.list(parked=False)) == ["a", "x"]
        assert [view.id for view in broker.list(state=State.QUEUED)] == ["b"]
        (stats,) = broker.stats()
        assert (stats.parked, stats.queued, stats.running, stats.scheduled) == (1, 0, 2, 0)

    def test_before_anybody_looks_it_is_in_line(self, broker: Broker) -> None:
        broker.enqueue_many([limited("a"), limited("b", delay_us=60 * SECOND)])
        views = broker.state_of(["a", "b"])
        assert [views[job_id].state for job_id in "ab"] == [State.QUEUED, State.SCHEDULED]
        assert broker.ready_queues() == ["default"]

    def test_only_waiting_jobs_are_no_work(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited(job_id) for job_id in "abc"])
        claims = child.claim()
        assert broker.ready_queues() == []
        assert not child.ask(child.want()).more
        child.settle_all(claims)
        assert broker.ready_queues() == ["default"]

    def test_a_later_job_counts_when_it_is_due(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited("later", delay_us=60 * SECOND), limited("now")])
        first = child.claim_one()
        assert first.message.id == "now"
        store.advance(61)
        assert child.claim() == []
        child.settle(first)
        assert ids(child.claim()) == ["later"]

    def test_a_changed_limit_counts_for_all_who_wait(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited(job_id) for job_id in "abcd"])
        assert ids(child.claim()) == ["a"]
        broker.enqueue_many([limited("e", slots=3)])
        assert ids(child.claim()) == ["b", "c"]

    def test_a_job_that_is_started_again_waits_again(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([limited("a"), limited("b")])
        child.settle(child.claim_one(), Kind.FAILED)
        second = child.claim_one()
        assert broker.requeue(results.load_many(["a"])["a"])
        assert child.claim() == []
        child.settle(second)
        assert ids(child.claim()) == ["a"]

    def test_a_repeated_settle_frees_no_second_place(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([limited(job_id) for job_id in "abc"])
        first = child.claim_one()
        assert child.settle(first)
        assert ids(child.claim()) == ["b"]
        assert not child.settle(first)
        assert child.claim() == []

    def test_a_unique_job_may_have_a_limit(self, broker: Broker, child: Child) -> None:
        bounds = Bounds(unique=Unique(key="k"), limit=Limit(key="l", slots=1))
        broker.enqueue_many([limited("x", "l"), make_bound("a", bounds=bounds)])
        first = child.claim_one()
        assert broker.enqueue_unique([make_bound("b", bounds=bounds)]) == [Taken("a", is_new=False)]
        replaces = Bounds(unique=Unique(key="k", conflict="replace"), limit=Limit(key="l", slots=1))
        assert broker.enqueue_unique([make_bound("c", bounds=replaces)]) == [Taken("c", is_new=True)]
        child.settle(first)
        assert ids(child.claim()) == ["c"]

    def test_a_key_until_the_start_is_held_while_its_job_waits_for_a_place(self, broker: Broker, child: Child) -> None:
        bounds = Bounds(unique=Unique(key="k", until_start=True), limit=Limit(key="l", slots=1))
        broker.enqueue_many([limited("x", "l"), make_bound("a", bounds=bounds)])
        first = child.claim_one()
        assert broker.enqueue_many([make_bound("b", bounds=bounds)]) == [False]
        child.settle(first)
        assert ids(child.claim()) == ["a"]
        assert broker.enqueue_many([make_bound("b", bounds=bounds)]) == [True]

    def test_many_jobs_of_many_keys_all_run(self, broker: Broker, child: Child, store: StoreHarness) -> None:
        broker.enqueue_many([limited(f"{number:03}", f"key-{number % 40}") for number in range(200)])
        seen: list[str] = []
        for _ in range(40):
            claims = child.claim(limit=100)
            keys = [
                claim.message.bounds.limit.key
                for claim in claims
                if claim.message.bounds and claim.message.bounds.limit
            ]
            assert len(set(keys)) == len(claims)
            seen += ids(claims)
            child.settle_all(claims, keep=False)
        assert sorted(seen) == [f"{number:03}" for number in range(200)]
        store.advance(90_000)
        while broker.let_in() + broker.sweep():
            pass
        assert store.leftovers() in {0, None}


class RateCases(BrokerCases):
    """Jobs of a key start at a pace."""

    def starts(self, store: StoreHarness, child: Child, seconds: int, **settle: Any) -> list[int]:
        """Return the seconds at which jobs could be claimed, of so many."""
        found = []
        for second in range(seconds):
            claims = child.claim()
            found += [second] * len(claims)
            child.settle_all(claims, **settle)
            store.advance(1)
        return found

    def test_starts_are_a_period_apart(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced(job_id) for job_id in "abcd"])
        assert self.starts(store, child, 35) == [0, 10, 20, 30]

    def test_a_rest_saves_nothing_up(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced("a")])
        assert self.starts(store, child, 45) == [0]
        broker.enqueue_many([paced("b"), paced("c")])
        assert self.starts(store, child, 15) == [0, 10]

    def test_a_burst_may_start_at_once_after_a_rest(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced(job_id, burst=3) for job_id in "abcdef"])
        assert self.starts(store, child, 35) == [0, 0, 0, 10, 20, 30]

    def test_keys_have_their_own_pace(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced("a", "one"), paced("b", "two"), paced("c", "one"), make_message("x")])
        assert self.starts(store, child, 15) == [0, 0, 0, 10]

    def test_the_next_start_is_told(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced("a"), paced("b")])
        child.settle(child.claim_one())
        waits = child.ask(child.want()).next_due_seconds
        assert waits is not None
        assert 5 < waits <= 10

    def test_a_retry_is_a_start(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced("a")])
        child.settle(child.claim_one(), Kind.RETRYING)
        assert child.claim() == []
        store.advance(11)
        assert ids(child.claim()) == ["a"]

    def test_a_rate_and_a_number_hold_together(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced(job_id, slots=2) for job_id in "abcd"])
        claims: list[Claim] = []
        for _ in range(30):
            claims += child.claim()
            store.advance(1)
        assert ids(claims) == ["a", "b"]
        child.settle_all(claims)
        assert ids(child.claim()) == ["c"]

    def test_what_nobody_claims_does_not_pile_up(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced(str(number), queue="unserved") for number in range(8)])
        for _ in range(60):
            assert child.claim() == []
            broker.let_in()
            store.advance(1)
        assert len(child.claim("unserved")) == 1

    def test_a_cancelled_first_one_leaves_its_turn_to_the_next(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([paced(job_id) for job_id in "abc"])
        child.settle(child.claim_one())
        assert broker.cancel("b") is CancelAnswer.CANCELLED
        store.advance(11)
        assert ids(child.claim()) == ["c"]

    def test_nothing_is_left_of_a_pace(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([paced(job_id, job_id) for job_id in "abc"])
        child.settle_all(child.claim(), keep=False)
        store.advance(90_000)
        child.claim()
        while broker.let_in() + broker.sweep():
            pass
        assert store.leftovers() in {0, None}
