"""Cases of the broker's contract: who gets which jobs, in which order, and under which name."""

from __future__ import annotations

import threading

from django_jobs.core.message import PRIORITY_MAX, PRIORITY_MIN, encode_body
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.testing.child import Child, ids, make_message, make_outcome, make_session
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

THREADS = 4
DEADLINE_SECONDS = 60


class ClaimCases(BrokerCases):
    """What a child may rely on when it asks for jobs."""

    def test_an_empty_broker_gives_nothing(self, child: Child) -> None:
        answer = child.ask(child.want())
        assert (answer.claims, answer.stale, answer.more) == ((), (), False)

    def test_a_claim_says_whose_it_is(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        want = child.want()
        (claim,) = child.ask(want).claims
        assert (claim.name, claim.attempt, claim.failures, claim.crashes) == (want.name, 1, 0, 0)
        assert (claim.suspect, claim.expired, claim.attempts) == (False, False, "")
        view = broker.state_of(["job"])["job"]
        assert (view.state, view.claim, view.attempt) == (State.RUNNING, want.name, 1)

    def test_a_claimed_job_is_not_claimed_again(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("job")])
        assert ids(child.claim()) == ["job"]
        assert child.claim() == []
        assert other.claim() == []

    def test_the_highest_priority_goes_first_then_the_oldest(self, broker: Broker, child: Child) -> None:
        for job_id, priority in [("1", 0), ("2", PRIORITY_MIN), ("3", PRIORITY_MAX), ("4", 0), ("5", 1), ("6", -1)]:
            broker.enqueue_many([make_message(job_id, priority=priority)])
        assert ids(child.claim()) == ["3", "5", "1", "4", "6", "2"]

    def test_the_order_holds_over_several_claims(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message(f"{number:02}", priority=number % 3) for number in range(30)])
        claimed = [job_id for _ in range(10) for job_id in ids(child.claim(limit=3))]
        assert claimed == sorted(claimed, key=lambda job_id: (-(int(job_id) % 3), job_id))

    def test_queues_are_taken_from_in_the_given_order(self, broker: Broker, child: Child) -> None:
        for queue in "abc":
            broker.enqueue_many([make_message(f"{queue}{number}", queue=queue) for number in range(2)])
        assert ids(child.claim("b", "c", "a", limit=5)) == ["b0", "b1", "c0", "c1", "a0"]

    def test_a_priority_counts_inside_its_queue_only(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a", queue="a"), make_message("b", queue="b", priority=100)])
        assert ids(child.claim("a", "b")) == ["a", "b"]

    def test_other_queues_are_left_alone(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a", queue="a"), make_message("ab", queue="ab")])
        assert child.claim("b") == []
        assert ids(child.claim("a")) == ["a"]
        assert broker.state_of(["ab"])["ab"].state is State.QUEUED

    def test_the_limit_is_kept_and_more_is_told(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message() for _ in range(5)])
        answer = child.ask(child.want(limit=3))
        assert (len(answer.claims), answer.more) == (3, True)
        assert len(child.claim(limit=3)) == 2

    def test_a_limit_of_zero_claims_nothing(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message()])
        assert child.claim(limit=0) == []
        assert child.broker.exchange([], None).claims == ()
        assert len(child.claim()) == 1

    def test_bodies_are_given_up_to_the_asked_size(self, broker: Broker, child: Child) -> None:
        body = encode_body(["x" * 1000], {})
        broker.enqueue_many([make_message(body=body) for _ in range(5)])
        answer = child.ask(child.want(max_bytes=3 * len(body) + 10))
        assert (len(answer.claims), answer.more) == (3, True)

    def test_one_job_is_given_however_big_it_is(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message(body=encode_body(["é" * 5000], {})) for _ in range(2)])
        assert len(child.claim(max_bytes=100)) == 1

    def test_attempts_grow_with_each_claim(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message()])
        seen = []
        for claimer in (child, other, child):
            claim = claimer.claim_one()
            seen.append(claim.attempt)
            claimer.settle(claim, Kind.RELEASED)
        assert seen == sorted(set(seen))

    def test_what_went_wrong_before_comes_with_the_claim(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message()])
        child.settle(child.claim_one(), Kind.RETRYING)
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=3)
        claim = child.claim_suspect()
        assert (claim.failures, claim.crashes) == (1, 1)


class NamedClaimCases(BrokerCases):
    """A claim whose answer was lost is asked for again under its name."""

    def test_the_same_name_gets_the_same_jobs(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message() for _ in range(5)])
        want = child.want(limit=3)
        first = child.ask(want).claims
        assert store.broker().exchange([], want).claims == first
        assert child.ask(want).claims == first
        assert len(child.claim()) == 2, "the repeated claim took no more"

    def test_the_same_name_gets_its_suspect_again(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message(), make_message()])
        child.settle(child.claim_one(), Kind.CRASHED)
        want = child.want(suspects=True)
        first = child.ask(want).claims
        assert len(first) == 1
        assert child.ask(want).claims == first

    def test_settling_and_claiming_can_be_repeated_whole(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        outcome = make_outcome(child.claim_one())
        want = child.want(limit=1)
        first = child.ask(want, [outcome])
        again = child.ask(want, [outcome])
        assert (ids(first.claims), first.stale) == (["b"], ())
        assert again.claims == first.claims
        assert again.stale == ("a",), "it had been settled: nothing changes, and that is said"

    def test_names_of_other_children_and_sessions_are_other_names(
        self, store: StoreHarness, broker: Broker, child: Child, other: Child
    ) -> None:
        broker.enqueue_many([make_message() for _ in range(3)])
        sibling = Child(store.broker(), child.session, incarnation=2)
        claimed = [ids(claimer.claim(limit=1)) for claimer in (child, sibling, other)]
        assert len({job_id for (job_id,) in claimed}) == 3


class SeveralChildrenCases(BrokerCases):
    """Children that claim at the same time."""

    def test_a_job_is_claimed_by_one_of_many(self, store: StoreHarness, broker: Broker) -> None:
        messages = [make_message() for _ in range(200)]
        broker.enqueue_many(messages)
        broker.open_session(make_session("session-1"))
        claimed: list[list[str]] = [[] for _ in range(THREADS)]
        barrier = threading.Barrier(THREADS)
        threads = [
            threading.Thread(target=_drain, args=(store.broker().own(), index, claimed[index], barrier))
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "a claim did not return"
        together = [job_id for part in claimed for job_id in part]
        assert sorted(together) == sorted(message.id for message in messages)
        assert broker.stats() == []

    def test_an_id_that_many_enqueue_is_one_job(self, store: StoreHarness, child: Child) -> None:
        rounds = 10
        answers: list[list[bool]] = [[] for _ in range(THREADS)]
        barrier = threading.Barrier(THREADS)
        threads = [
            threading.Thread(target=_enqueue, args=(store.broker().own(), rounds, answers[index], barrier))
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "an enqueue did not return"
        assert [sum(column) for column in zip(*answers, strict=True)] == [1] * rounds
        assert sorted(ids(child.claim())) == [f"job-{number}" for number in range(rounds)]


def _enqueue(broker: Broker, rounds: int, answers: list[bool], barrier: threading.Barrier) -> None:
    barrier.wait(DEADLINE_SECONDS)
    try:
        for number in range(rounds):
            answers += broker.enqueue_many([make_message(f"job-{number}")])
    finally:
        broker.close()


def _drain(broker: Broker, index: int, claimed: list[str], barrier: threading.Barrier) -> None:
    child = Child(broker, incarnation=index, opened=True)
    barrier.wait(DEADLINE_SECONDS)
    try:
        empty = 0
        while empty < 20:  # an empty answer may only mean "maybe empty" on some databases
            claims = child.claim(limit=7)
            assert child.settle_all(claims) == ()
            claimed += ids(claims)
            empty = 0 if claims else empty + 1
    finally:
        broker.close()
