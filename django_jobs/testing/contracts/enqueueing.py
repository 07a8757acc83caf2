"""Cases of the broker's contract: taking jobs in, their ids and marks, their earliest start and their expiry."""

from __future__ import annotations

import json

import pytest

from django_jobs.core.message import encode_body
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

BODIES = {
    "smallest": '{"v":1}',
    "plane 1": encode_body(["😀 \U0010ffff", "é\u2028\u2029"], {"ключ": "值"}),
    "quoting": encode_body(["'; -- \\ \" %s %(x)s {} $1 :p", "\x7f\x1b[31m"], {}),
    "numbers": encode_body([2**63 - 1, -(2**63), 1.7976931348623157e308, -0.0, 5e-324, 0.1], {}),
    "blanks": ' {"v": 1,\t"args": ["  "]}\r\n ',
    "long": encode_body(["x" * 200_000], {}),
}


class EnqueueCases(BrokerCases):
    """What a producer may rely on."""

    def test_a_job_comes_out_as_it_went_in(self, broker: Broker, child: Child) -> None:
        message = make_message(priority=-7, id_given=True, body=BODIES["plane 1"])
        assert broker.enqueue_many([message]) == [True]
        assert child.claim_one().message == message

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    def test_a_body_is_kept_to_the_character(self, broker: Broker, child: Child, body: str) -> None:
        broker.enqueue_many([make_message(body=body)])
        assert child.claim_one().message.body == body

    def test_names_of_the_greatest_length_are_kept(self, broker: Broker, child: Child) -> None:
        message = make_message("i" * 64, queue="q" * 128, task="ä" * 255)
        broker.enqueue_many([message])
        assert child.claim_one(message.queue).message == message

    def test_names_that_differ_in_case_or_accent_are_different(self, broker: Broker, child: Child) -> None:
        assert broker.enqueue_many([make_message("a", queue="Q"), make_message("A", queue="q")]) == [True, True]
        assert ids(child.claim("q")) == ["A"]
        assert ids(child.claim("Q")) == ["a"]

    def test_no_messages_are_no_work(self, broker: Broker) -> None:
        assert broker.enqueue_many([]) == []

    def test_a_live_id_is_taken_in_once(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job", body='{"v":1,"args":[1]}')])
        assert broker.enqueue_many([make_message("job", body='{"v":1,"args":[2]}')]) == [False]
        (claim,) = child.claim()
        assert json.loads(claim.message.body)["args"] == [1]
        assert broker.enqueue_many([make_message("job")]) == [False], "a claimed job is live"

    def test_an_id_twice_in_one_call_is_one_job(self, broker: Broker, child: Child) -> None:
        assert broker.enqueue_many([make_message("job"), make_message("job")]) == [True, False]
        assert ids(child.claim()) == ["job"]

    def test_the_answers_stand_in_the_order_of_the_messages(self, broker: Broker) -> None:
        broker.enqueue_many([make_message("b")])
        assert broker.enqueue_many([make_message(job_id) for job_id in "abc"]) == [True, False, True]

    def test_a_thousand_in_one_call_keep_their_order(self, broker: Broker, child: Child) -> None:
        messages = [make_message() for _ in range(1000)]
        assert broker.enqueue_many(messages) == [True] * 1000
        assert ids(child.claim(limit=1000)) == [message.id for message in messages]

    @pytest.mark.parametrize("id_given", [False, True])
    def test_an_ended_job_leaves_a_mark_for_a_while(
        self, store: StoreHarness, broker: Broker, child: Child, id_given: bool
    ) -> None:
        refused, free = (80_000, 7000) if id_given else (10, 6)
        if not id_given and not store.marks_own_ids:
            pytest.skip("this store's producers never repeat an id of their own")
        message = make_message("job", id_given=id_given)
        broker.enqueue_many([message])
        child.settle(child.claim_one(), keep=False)
        assert broker.enqueue_many([message]) == [False]
        store.advance(refused)
        assert store.broker().enqueue_many([message]) == [False]
        store.advance(free)
        assert broker.enqueue_many([message]) == [True]
        assert ids(child.claim()) == ["job"]

    def test_a_mark_that_is_over_gives_way_to_the_next(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        message = make_message("job", id_given=True)
        for _ in range(2):
            assert broker.enqueue_many([message]) == [True]
            child.settle(child.claim_one(), keep=False)
            assert broker.enqueue_many([message]) == [False]
            store.advance(90_000)

    @pytest.mark.parametrize("way", ["forget", "prune"])
    def test_a_result_that_is_dropped_leaves_the_mark(
        self, broker: Broker, child: Child, results: ResultStore, way: str
    ) -> None:
        message = make_message("job", id_given=True)
        broker.enqueue_many([message])
        child.settle(child.claim_one())
        if way == "forget":
            assert results.forget(["job"]) == 1
        else:
            assert results.prune(statuses=[State.SUCCEEDED], older_than_seconds=0) == 1
        assert broker.enqueue_many([message]) == [False]

    def test_the_time_of_the_enqueue_is_the_brokers(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        store.advance(10_000)
        broker.enqueue_many([make_message()])
        assert abs(child.claim_one().enqueued_us - store.now_us()) < 60_000_000


class TimeCases(BrokerCases):
    """Earliest start and expiry, by the broker's clock."""

    def test_a_delayed_job_is_not_claimed_before_its_time(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([make_message("job", delay_us=30_000_000)])
        assert child.claim() == []
        assert broker.state_of(["job"])["job"].state is State.SCHEDULED
        store.advance(25)
        assert child.claim() == []
        store.advance(6)
        assert ids(child.claim()) == ["job"]

    def test_an_eta_is_an_instant_of_the_brokers_clock(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job", eta_us=store.now_us() + 30_000_000)])
        store.advance(20)
        assert child.claim() == []
        store.advance(11)
        assert ids(child.claim()) == ["job"]

    @pytest.mark.parametrize("when", [{"delay_us": 0}, {"eta_us": 1}], ids=["no delay", "an eta long past"])
    def test_what_is_due_at_once_is_ready_at_once(self, broker: Broker, child: Child, when: dict[str, int]) -> None:
        broker.enqueue_many([make_message("job", **when)])
        assert broker.state_of(["job"])["job"].state is State.QUEUED
        assert ids(child.claim()) == ["job"]

    def test_a_due_job_stands_in_line_by_its_time(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("due at 10", delay_us=10_000_000)])
        store.advance(5)
        broker.enqueue_many([make_message("enqueued at 5")])
        store.advance(10)
        broker.enqueue_many([make_message("enqueued at 15")])
        assert ids(child.claim()) == ["enqueued at 5", "due at 10", "enqueued at 15"]

    def test_a_due_job_keeps_its_priority(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("low"), make_message("high", delay_us=10_000_000, priority=1)])
        store.advance(11)
        assert ids(child.claim()) == ["high", "low"]

    def test_the_next_due_time_is_told(self, broker: Broker, child: Child) -> None:
        assert child.ask(child.want()).next_due_seconds is None
        broker.enqueue_many([make_message(delay_us=90_000_000), make_message(delay_us=30_000_000)])
        seconds = child.ask(child.want()).next_due_seconds
        assert seconds is not None
        assert 20 < seconds <= 30

    @pytest.mark.parametrize("absolute", [False, True])
    def test_a_job_past_its_expiry_is_flagged_at_the_claim(
        self, store: StoreHarness, broker: Broker, child: Child, results: ResultStore, absolute: bool
    ) -> None:
        for job_id in ("in time", "too late"):
            expiry = {"expires_us": store.now_us() + 20_000_000} if absolute else {"expires_after_us": 20_000_000}
            broker.enqueue_many([make_message(job_id, **expiry)])
        assert child.claim_one().expired is False
        store.advance(21)
        claim = child.claim_one()
        assert claim.expired is True
        assert child.settle(claim, Kind.EXPIRED)
        assert results.load_many(["too late"])["too late"].status is State.EXPIRED

    def test_a_retry_past_its_expiry_is_flagged_too(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job", expires_after_us=20_000_000)])
        child.settle(child.claim_one(), Kind.RETRYING, delay_seconds=30)
        store.advance(31)
        assert child.claim_one().expired is True
