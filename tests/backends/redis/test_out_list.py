"""Jobs in Redis, results in another store: settled in one step, copied later, never unknown in between."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from django_jobs.backends.memory import MemoryResultStore
from django_jobs.backends.redis import RedisBroker
from django_jobs.backends.relayed import RelayedResultStore
from django_jobs.core.outcome import Kind, StoredResult
from django_jobs.core.states import State
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.ports.broker import CancelAnswer
from django_jobs.testing.child import Child, ids, make_message
from django_jobs.testing.contracts import BrokerContract
from django_jobs.worker.outlist import BATCH, OutList
from tests.backends.redis.harness import RedisHarness
from tests.services import require


class OutListHarness(RedisHarness):
    """Redis as broker, results in this process's memory."""

    def __init__(self, url: str) -> None:
        super().__init__(url, result_store="elsewhere")
        self.kept = MemoryResultStore()

    def results(self) -> RelayedResultStore:  # type: ignore[override]  # what a project sees
        return self.relayed()

    def leftovers(self) -> int:
        self.relayed().copy(10_000)
        return super().leftovers()

    def relayed(self) -> RelayedResultStore:
        return RelayedResultStore(self.kept, self.broker())


@pytest.fixture
def store() -> Iterator[OutListHarness]:
    harness = OutListHarness(require("redis").url)
    yield harness
    harness.close()


@pytest.fixture
def broker(store: OutListHarness) -> RedisBroker:
    return store.broker()


@pytest.fixture
def child(broker: RedisBroker) -> Child:
    return Child(broker)


@pytest.fixture
def results(store: OutListHarness) -> RelayedResultStore:
    return store.relayed()


class TestBrokerWithAnOutList(BrokerContract):
    """The whole contract, with results as a project sees them."""

    @pytest.fixture
    def store(self) -> Iterator[OutListHarness]:
        harness = OutListHarness(require("redis").url)
        yield harness
        harness.close()

    @pytest.fixture
    def results(self, store: OutListHarness, request: pytest.FixtureRequest) -> RelayedResultStore:
        if request.node.originalname == "test_a_forgotten_job_cannot_start_again":
            pytest.skip("the broker does not see what the other store has forgotten")
        if "prune" in request.node.name:
            pytest.skip("what is on the out-list is too young to be pruned")
        return store.relayed()


def test_an_end_is_seen_before_and_after_it_is_copied(
    store: OutListHarness, broker: RedisBroker, child: Child, results: RelayedResultStore
) -> None:
    broker.enqueue_many([make_message("job", id_given=True)])
    child.settle(child.claim_one(), result='"é"')
    before = results.load_many(["job"])["job"]
    assert (before.status, before.result) == (State.SUCCEEDED, '"é"')
    assert store.kept.load_many(["job"]) == {}
    assert results.copy(10) == 1
    assert store.kept.load_many(["job"]) == {"job": before}
    assert results.load_many(["job"]) == {"job": before}
    assert broker.leaving(10) == []
    assert [key for key in store.key_names() if key.startswith("out")] == []


def test_every_end_but_an_unwanted_success_goes_out(
    broker: RedisBroker, child: Child, results: RelayedResultStore
) -> None:
    kinds = [Kind.SUCCEEDED, Kind.FAILED, Kind.CANCELLED, Kind.EXPIRED]
    broker.enqueue_many([make_message(kind) for kind in kinds])
    for claim, kind in zip(child.claim(), kinds, strict=True):
        child.settle(claim, kind, keep=False)
    broker.enqueue_many([make_message("waiting")])
    assert broker.cancel("waiting") is CancelAnswer.CANCELLED
    results.copy(10)
    assert set(results.store.load_many([*kinds, "waiting"])) == {"failed", "cancelled", "expired", "waiting"}


def test_an_id_on_its_way_is_taken(broker: RedisBroker, child: Child, results: RelayedResultStore) -> None:
    message = make_message("job", id_given=True)
    broker.enqueue_many([message])
    child.settle(child.claim_one())
    assert broker.enqueue_many([message]) == [False]
    results.copy(10)
    assert broker.enqueue_many([message]) == [False]


def test_a_copier_that_dies_before_it_strikes_changes_nothing(
    store: OutListHarness, broker: RedisBroker, child: Child, results: RelayedResultStore
) -> None:
    broker.enqueue_many([make_message("job")])
    child.settle(child.claim_one())
    store.kept.save_many(broker.leaving(10))  # and then it dies
    assert results.copy(10) == 1
    assert set(results.load_many(["job"])) == {"job"}
    assert broker.leaving(10) == []


def test_several_copiers_see_different_results_first(broker: RedisBroker, child: Child) -> None:
    broker.enqueue_many([make_message(f"{number}") for number in range(6)])
    child.settle_all(child.claim())
    seen = [{stored.id for stored in broker.leaving(3)} for _ in range(2)]
    assert seen == [{"0", "1", "2"}, {"3", "4", "5"}]


def test_a_later_end_is_not_struck_with_an_earlier_one(broker: RedisBroker, child: Child) -> None:
    broker.enqueue_many([make_message("job")])
    child.settle(child.claim_one(), Kind.FAILED)
    earlier = broker.leaving(10)
    broker.strike(earlier)
    assert broker.requeue(earlier[0]) is True
    child.settle(child.claim_one(), Kind.FAILED)
    assert broker.strike(earlier) == 0
    assert [stored.attempt > earlier[0].attempt for stored in broker.leaving(10)] == [True]


def test_a_job_that_was_started_again_hides_its_old_row(
    broker: RedisBroker, child: Child, results: RelayedResultStore
) -> None:
    broker.enqueue_many([make_message("job")])
    child.settle(child.claim_one(), Kind.FAILED)
    results.copy(10)
    assert broker.requeue(results.load_many(["job"])["job"]) is True
    assert results.load_many(["job"]) == {}
    child.settle(child.claim_one(), result="2")
    assert results.load_many(["job"])["job"].result == "2"
    results.copy(10)
    assert results.load_many(["job"])["job"].result == "2"


def test_a_forgotten_result_is_gone_from_both(broker: RedisBroker, child: Child, results: RelayedResultStore) -> None:
    broker.enqueue_many([make_message("a"), make_message("b")])
    claims = child.claim()
    child.settle(claims[0])
    results.copy(10)
    child.settle(claims[1])
    assert results.forget(["a", "b", "nobody"]) == 2
    assert results.copy(10) == 0
    assert results.load_many(["a", "b"]) == {}


def test_workers_stop_claiming_at_the_bound_and_settling_goes_on(store: OutListHarness) -> None:
    broker = RedisBroker(store.policy, out_limit=3)
    child = Child(broker)
    broker.enqueue_many([make_message(f"{number}") for number in range(6)])
    claims = child.claim(limit=5)
    child.settle_all(claims[:3])
    assert child.claim() == []
    assert child.settle_all(claims[3:]) == (), "what has run is settled: nothing is dropped"
    assert child.claim() == []
    RelayedResultStore(store.kept, broker).copy(10)
    assert ids(child.claim()) == ["5"]
    broker.close()


class Refusing(MemoryResultStore):
    """A store that never takes one of the values, as a database refuses a text."""

    def save_many(self, results: list[StoredResult]) -> None:  # type: ignore[override]  # a list is a sequence
        if any(stored.result == '"poison"' for stored in results):
            raise ValueError("cannot store poison")
        super().save_many(results)


def test_a_result_that_the_store_refuses_stops_no_other(
    store: OutListHarness, broker: RedisBroker, child: Child
) -> None:
    store.kept = Refusing()
    results = store.relayed()
    broker.enqueue_many([make_message(job_id) for job_id in "abc"])
    for claim in child.claim():
        child.settle(claim, result='"poison"' if claim.message.id == "b" else "1")
    assert results.copy(10) == 3
    kept = results.load_many(["a", "b", "c"])
    assert {job_id: stored.status for job_id, stored in kept.items()} == {
        "a": State.SUCCEEDED, "b": State.FAILED, "c": State.SUCCEEDED,
    }  # fmt: skip
    assert "cannot store poison" in kept["b"].error_message
    assert broker.leaving(10) == []


class Away(MemoryResultStore):
    def save_many(self, results: list[StoredResult]) -> None:  # type: ignore[override]  # a list is a sequence
        raise BrokerUnavailable("the database is away")


def test_the_keepers_duty_outlives_a_store_that_is_away(
    store: OutListHarness, broker: RedisBroker, child: Child
) -> None:
    broker.enqueue_many([make_message(f"{number}") for number in range(BATCH + 1)])
    child.settle_all(child.claim(limit=BATCH + 1))
    signs: list[int] = []
    away = OutList(RelayedResultStore(Away(), broker), lambda: signs.append(1), Random(1))
    assert 0 < away.step() < 1
    assert len(broker.leaving_of([str(number) for number in range(BATCH + 1)])) == BATCH + 1
    back = OutList(store.relayed(), lambda: signs.append(1), Random(1))
    assert back.step() > 0
    assert broker.leaving(10) == []
    assert len(signs) == 2
