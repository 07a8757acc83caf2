"""Cases of the contract of atomic jobs, for brokers that share a transaction with what jobs write."""

from __future__ import annotations

import pytest

from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.states import State
from django_jobs.ports.atomic import AtomicRuns, AtomicUndone
from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_message, make_outcome
from django_jobs.testing.contracts.base import BrokerCases


class AtomicContract(BrokerCases):
    """What a run stores, it stores together with its settle. `enqueue_many` of the broker joins its transaction."""

    @pytest.fixture
    def runs(self, broker: Broker) -> AtomicRuns:
        runs = broker.atomic_runs(lambda: True)
        assert runs is not None
        return runs

    def test_a_run_settles_its_job_with_what_it_enqueues(
        self, broker: Broker, child: Child, runs: AtomicRuns, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()

        def work() -> Outcome:
            broker.enqueue_many([make_message("next")])
            return make_outcome(claim, result="1")

        outcome = runs.run(work)
        broker.was_settled([outcome])
        assert outcome.settled
        stored = results.load_many(["job"])["job"]
        assert (stored.status, stored.result) == (State.SUCCEEDED, "1")
        assert set(broker.state_of(["job", "next"])) == {"next"}
        assert not child.settle(claim)
        assert ids(child.claim()) == ["next"]

    def test_of_a_run_that_raises_nothing_is_left_and_its_job_is_settled_apart(
        self, broker: Broker, child: Child, runs: AtomicRuns, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()

        def work() -> Outcome:
            broker.enqueue_many([make_message("next")])
            raise KeyError("job")

        with pytest.raises(KeyError):
            runs.run(work)
        assert set(broker.state_of(["job", "next"])) == {"job"}
        assert child.settle(claim, Kind.FAILED)
        assert results.load_many(["job"])["job"].status is State.FAILED

    def test_a_run_whose_fence_is_stale_is_undone(self, broker: Broker, child: Child, runs: AtomicRuns) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.release([claim.name], cause="forgotten")

        def work() -> Outcome:
            broker.enqueue_many([make_message("next")])
            return make_outcome(claim)

        with pytest.raises(AtomicUndone):
            runs.run(work)
        assert set(broker.state_of(["job", "next"])) == {"job"}
        assert child.claim_one().attempt == 2

    def test_the_other_jobs_of_its_claim_are_settled_as_before(
        self, broker: Broker, child: Child, runs: AtomicRuns, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message(name) for name in ("a", "b", "c", "d")])
        a, b, c, d = child.claim()
        assert child.settle(a)
        broker.was_settled([runs.run(lambda: make_outcome(b, result='"b"'))])
        assert child.settle(c, Kind.RETRYING, delay_seconds=60)
        assert child.settle(d, result='"d"')
        assert {name: stored.result for name, stored in results.load_many(["b", "d"]).items()} == {
            "b": '"b"',
            "d": '"d"',
        }
        assert broker.state_of(["a", "b", "c", "d"])["c"].state is State.RETRYING
        assert broker.release([a.name], cause="forgotten") == 0

    def test_a_cancel_that_came_meanwhile_is_too_late_for_a_run_that_ends(
        self, broker: Broker, child: Child, runs: AtomicRuns, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.cancel("job")
        broker.was_settled([runs.run(lambda: make_outcome(claim))])
        assert results.load_many(["job"])["job"].status is State.SUCCEEDED
