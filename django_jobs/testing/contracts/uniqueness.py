"""Cases of the broker's contract: unique keys, what holds one, what frees it, and what a conflict comes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from django_jobs.core.bounds import Bounds, Unique
from django_jobs.core.message import Message
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.exceptions import UniqueConflict
from django_jobs.ports.broker import Broker, CancelAnswer, Taken
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_bound, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

ENDS = [Kind.SUCCEEDED, Kind.FAILED, Kind.CANCELLED, Kind.EXPIRED]


def unique(job_id: str, key: str = "shop.mail:7", *, queue: str = "default", **fields: Any) -> Message:
    message: dict[str, Any] = {
        name: fields.pop(name) for name in ("delay_us", "priority", "id_given") if name in fields
    }
    return make_bound(job_id, bounds=Bounds(unique=Unique(key=key, **fields)), queue=queue, **message)


class UniqueCases(BrokerCases):
    """A key has one holder, from the enqueue to the end of its job."""

    def test_a_unique_job_comes_out_as_it_went_in(self, broker: Broker, child: Child) -> None:
        message = unique("a", for_us=5_000_000, conflict="raise", priority=3)
        assert broker.enqueue_unique([message]) == [Taken("a", is_new=True)]
        assert child.claim_one().message == message

    def test_a_key_that_is_held_answers_with_its_holder(self, broker: Broker, child: Child) -> None:
        assert broker.enqueue_unique([unique("a"), unique("b", "shop.mail:8"), unique("c")]) == [
            Taken("a", is_new=True),
            Taken("b", is_new=True),
            Taken("a", is_new=False),
        ]
        assert broker.enqueue_many([unique("d")]) == [False]
        assert broker.enqueue_many([unique("e", "shop.mail:9"), unique("f"), make_message("g")]) == [True, False, True]
        assert ids(child.claim()) == ["a", "b", "e", "g"]
        assert broker.enqueue_unique([unique("h")]) == [Taken("a", is_new=False)], "a claimed job holds its key"
        assert set(broker.state_of(["c", "d", "f", "h"])) == set()

    def test_keys_that_differ_in_case_or_accent_are_different(self, broker: Broker) -> None:
        keys = ["mail:A", "mail:a", "mail:ä", "mail:a b", "mail:\u65e5"]
        assert broker.enqueue_many([unique(str(number), key) for number, key in enumerate(keys)]) == [True] * 5

    def test_a_known_id_is_no_conflict(self, broker: Broker, child: Child) -> None:
        broker.enqueue_unique([unique("a", conflict="raise")])
        assert broker.enqueue_unique([unique("a", conflict="raise")]) == [Taken("a", is_new=False)]
        assert broker.enqueue_unique([unique("a", "another")]) == [Taken("a", is_new=False)]
        assert broker.enqueue_many([unique("b", "another")]) == [True], "a message that is no job takes no key"
        child.settle_all(child.claim())
        assert broker.enqueue_many([unique("c", id_given=True)]) == [True]

    @pytest.mark.parametrize("kind", ENDS)
    def test_an_end_frees_the_key(self, broker: Broker, child: Child, kind: Kind) -> None:
        broker.enqueue_many([unique("a"), make_message("x")])
        child.settle_all(child.claim(), kind)
        assert broker.enqueue_unique([unique("b")]) == [Taken("b", is_new=True)]
        assert ids(child.claim()) == ["b"]

    def test_a_cancel_frees_the_key(self, broker: Broker) -> None:
        broker.enqueue_many([unique("a", delay_us=60_000_000)])
        assert broker.enqueue_many([unique("b")]) == [False]
        assert broker.cancel("a") is CancelAnswer.CANCELLED
        assert broker.enqueue_many([unique("b")]) == [True]

    @pytest.mark.parametrize("kind", [Kind.RETRYING, Kind.RELEASED, Kind.CRASHED, Kind.UNKNOWN_TASK])
    def test_a_job_that_goes_back_holds_its_key(self, broker: Broker, child: Child, kind: Kind) -> None:
        broker.enqueue_many([unique("a")])
        child.settle(child.claim_one(), kind, delay_seconds=60.0)
        assert broker.enqueue_unique([unique("b")]) == [Taken("a", is_new=False)]
        assert broker.cancel("a") is CancelAnswer.CANCELLED
        assert broker.enqueue_many([unique("b")]) == [True]

    def test_a_quarantined_job_frees_its_key(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a")])
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=1)
        assert broker.enqueue_many([unique("b")]) == [True]

    def test_the_death_of_a_session_frees_the_keys_of_jobs_that_end_with_it(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a"), unique("b", "other")])
        child.claim()
        broker.close_session(child.session)
        broker.rescue(timeout_seconds=30, max_crashes=3, at_most_once=["tests.jobs.noop"])
        assert broker.enqueue_many([unique("c"), unique("d", "other")]) == [True, True]

    def test_a_cancel_that_a_release_brings_about_frees_the_key(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a")])
        claim = child.claim_one()
        assert broker.cancel("a") is CancelAnswer.REQUESTED
        assert broker.release([claim.name], cause="shutdown") == 1
        assert broker.enqueue_many([unique("b")]) == [True]

    def test_a_key_until_the_start_is_free_at_the_first_claim(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a", until_start=True)])
        assert broker.enqueue_unique([unique("b", until_start=True)]) == [Taken("a", is_new=False)]
        first = child.claim_one()
        assert broker.enqueue_many([unique("b", until_start=True)]) == [True]
        assert child.settle(first)
        assert broker.enqueue_many([unique("c", until_start=True)]) == [False], "b waits: the end of a is not its own"
        assert ids(child.claim()) == ["b"]

    def test_a_key_until_the_start_stays_free_while_its_job_is_tried_again(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a", until_start=True)])
        child.settle(child.claim_one(), Kind.RETRYING, delay_seconds=60.0)
        assert broker.enqueue_many([unique("b", until_start=True), unique("c", until_start=True)]) == [True, False]

    def test_a_key_for_a_time_outlives_its_job_and_is_outlived(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([unique("a", for_us=60_000_000), unique("x", "other", for_us=60_000_000)])
        assert child.settle(child.claim_one())
        store.advance(50)
        assert broker.enqueue_unique([unique("b", for_us=60_000_000)]) == [Taken("a", is_new=False)]
        store.advance(20)
        assert broker.enqueue_many([unique("c", for_us=60_000_000)]) == [True]
        assert broker.enqueue_many([unique("y", "other")]) == [True], "the time is over, though x still waits"
        assert ids(child.claim()) == ["x", "c", "y"]

    def test_keys_whose_time_is_over_are_swept(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique(str(number), str(number), for_us=60_000_000) for number in range(5)])
        child.settle_all(child.claim(), keep=False)
        store.advance(90_000)
        while broker.sweep():
            pass
        assert store.leftovers() in {0, None}

    def test_ended_jobs_leave_nothing_of_their_keys(self, broker: Broker, child: Child, store: StoreHarness) -> None:
        broker.enqueue_many([unique(str(number), str(number), until_start=number % 2 == 0) for number in range(5)])
        child.settle_all(child.claim(), keep=False)
        store.advance(90_000)
        while broker.sweep():
            pass
        assert store.leftovers() in {0, None}


class UniqueConflictCases(BrokerCases):
    """What an enqueue may ask for where its key is held."""

    def test_raise_takes_nothing_in(self, broker: Broker) -> None:
        broker.enqueue_many([unique("a")])
        messages = [make_message("x"), unique("y", "other"), unique("b", conflict="raise"), make_message("z")]
        with pytest.raises(UniqueConflict, match=r"The job a of .* Nothing was enqueued\.") as caught:
            broker.enqueue_unique(messages)
        assert caught.value.job_id == "a"
        assert set(broker.state_of(["x", "y", "b", "z"])) == set()
        assert broker.enqueue_many([unique("w", "other")]) == [True], "its key was not taken either"

    def test_raise_sees_the_messages_before_it(self, broker: Broker) -> None:
        with pytest.raises(UniqueConflict):
            broker.enqueue_unique([unique("a"), unique("b", conflict="raise")])
        assert broker.state_of(["a", "b"]) == {}

    def test_who_cannot_be_told_gets_no_job(self, broker: Broker) -> None:
        broker.enqueue_many([unique("a")])
        assert broker.enqueue_many([unique("b", conflict="raise")]) == [False]

    @pytest.mark.parametrize("delay_us", [None, 60_000_000])
    def test_a_waiting_job_is_replaced(
        self, broker: Broker, child: Child, results: ResultStore, delay_us: int | None
    ) -> None:
        broker.enqueue_many([unique("a", delay_us=delay_us)])
        assert broker.enqueue_unique([unique("b", conflict="replace")]) == [Taken("b", is_new=True)]
        assert results.load_many(["a"])["a"].status is State.CANCELLED
        assert ids(child.claim()) == ["b"]
        assert broker.enqueue_many([unique("c")]) == [False]

    def test_a_job_that_waits_for_its_retry_is_replaced(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([unique("a")])
        child.settle(child.claim_one(), Kind.RETRYING, delay_seconds=60.0)
        assert broker.enqueue_many([unique("b", conflict="replace")]) == [True]
        assert results.load_many(["a"])["a"].status is State.CANCELLED

    def test_the_last_of_several_that_replace_each_other_stays(self, broker: Broker, child: Child) -> None:
        messages = [unique(job_id, conflict="replace") for job_id in "abc"]
        assert [taken.is_new for taken in broker.enqueue_unique(messages)] == [True, True, True]
        assert ids(child.claim()) == ["c"]

    def test_a_claimed_job_is_not_replaced(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([unique("a")])
        claim = child.claim_one()
        assert broker.enqueue_unique([unique("b", conflict="replace")]) == [Taken("a", is_new=False)]
        assert child.settle(claim), "it was not cancelled"

    def test_a_key_held_for_a_time_goes_to_the_job_that_replaces(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([unique("a", for_us=60_000_000)])
        store.advance(40)
        assert broker.enqueue_many([unique("b", for_us=60_000_000, conflict="replace")]) == [True]
        store.advance(40)
        assert broker.enqueue_unique([unique("c", for_us=60_000_000)]) == [Taken("b", is_new=False)]
        assert child.settle(child.claim_one())
        assert broker.enqueue_many([unique("d", for_us=60_000_000, conflict="replace")]) == [False], "b has ended"

    def test_a_job_that_is_started_again_takes_its_key_again(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([unique("a")])
        child.settle(child.claim_one(), Kind.FAILED)
        assert broker.requeue(results.load_many(["a"])["a"])
        assert broker.enqueue_unique([unique("b")]) == [Taken("a", is_new=False)]
        child.settle(child.claim_one(), Kind.FAILED)
        assert broker.enqueue_many([unique("b")]) == [True]
        assert not broker.requeue(results.load_many(["a"])["a"]), "another job holds the key"
        child.settle(child.claim_one())
        stored = results.load_many(["a"])["a"]
        assert not broker.requeue(msgspec.structs.replace(stored, attempt=stored.attempt + 1)), "it was never like that"
        assert broker.enqueue_unique([unique("c")]) == [Taken("c", is_new=True)], "a refused retry takes no key"
        child.settle(child.claim_one())
        assert broker.requeue(stored)
