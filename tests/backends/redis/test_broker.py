"""What only Redis has: ticks with a number of their own, values that are no jobs, and what a view of the keys shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from django_jobs.backends.memory import MemoryBroker
from django_jobs.core.outcome import Kind
from django_jobs.ports.broker import Broker
from django_jobs.testing.child import TASK, Child, ids, make_message
from tests.backends.redis.harness import RedisHarness
from tests.services import require


@pytest.fixture
def store() -> Iterator[RedisHarness]:
    harness = RedisHarness(require("redis").url)
    yield harness
    harness.close()


@pytest.fixture(params=["redis", "memory"])
def any_broker(request: pytest.FixtureRequest, store: RedisHarness) -> Broker:
    return store.broker() if request.param == "redis" else MemoryBroker()


def test_a_tick_makes_one_job_and_none_after_a_later_one(any_broker: Broker) -> None:
    child = Child(any_broker)
    answers = [
        any_broker.enqueue_tick("nightly", tick_us, make_message(f"tick-{tick_us}", id_given=True))
        for tick_us in (10, 10, 20, 15, 21)
    ]
    assert answers == [True, False, True, False, True]
    assert any_broker.enqueue_tick("other", 10, make_message("other-10", id_given=True)) is True
    assert ids(child.claim()) == ["tick-10", "tick-20", "tick-21", "other-10"]


def test_a_tick_is_refused_long_after_its_mark_is_gone(store: RedisHarness) -> None:
    broker = store.broker()
    child = Child(broker)
    message = make_message("tick", id_given=True)
    broker.enqueue_tick("nightly", 10, message)
    child.settle(child.claim_one(), keep=False)
    store.advance(10 * 86_400)
    broker.sweep(limit=1000)
    assert broker.enqueue_tick("nightly", 10, message) is False
    assert broker.enqueue_tick("nightly", 11, message) is True


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"foreign",
        b"\x80\x04pickled",
        b"0" * 23,
        b"1700000000000000100" + b"0003" + b"\xff\xff\xff" + b"{}",
        b"1700000000000000100" + b"9999" + b"short",
    ],
)
def test_what_is_no_job_is_put_aside_and_stops_nobody(
    store: RedisHarness, caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    broker = store.broker()
    child = Child(broker)
    broker.enqueue_many([make_message(job_id) for job_id in "abc"])
    broker._client.redis.hset(f"{{{store.policy.namespace}}}:jobs", "b", value)
    with caplog.at_level(logging.ERROR, logger="django_jobs.broker"):
        claims = child.claim()
    assert ids(claims) == ["a", "c"]
    assert len(caplog.records) == 1
    assert "put aside" in caplog.text
    assert child.settle_all(claims) == ()
    assert broker._client.redis.hget(f"{{{store.policy.namespace}}}:foreign", "b") == value
    assert broker.stats() == []
    assert broker.list() == []


def test_what_is_no_job_stops_nobody_where_sizes_or_due_times_are_read(store: RedisHarness) -> None:
    broker = store.broker()
    child = Child(broker)
    jobs = f"{{{store.policy.namespace}}}:jobs"
    broker.enqueue_many([make_message(job_id, delay_us=10_000_000) for job_id in "abc"])
    broker._client.redis.hset(jobs, "b", b"foreign" * 10)
    store.advance(11)
    claimed = [job_id for _ in range(4) for job_id in ids(child.claim(max_bytes=1))]
    assert sorted(claimed) == ["a", "c"]


def test_what_is_no_job_can_be_looked_at_past(store: RedisHarness) -> None:
    broker = store.broker()
    broker.enqueue_many([make_message("a"), make_message("b")])
    broker._client.redis.hset(f"{{{store.policy.namespace}}}:jobs", "a", b"foreign")
    assert set(broker.state_of(["a", "b"])) == {"b"}
    assert [view.id for view in broker.list()] == ["b"]


def test_a_foreign_key_is_named(store: RedisHarness) -> None:
    broker = store.broker()
    broker._client.redis.set(f"{{{store.policy.namespace}}}:jobs", "something else")
    with pytest.raises(ConnectionError, match="Choose another NAMESPACE"):
        broker.enqueue_many([make_message()])


def test_two_namespaces_do_not_see_each_other(store: RedisHarness) -> None:
    other = RedisHarness(store.policy.broker)
    try:
        store.broker().enqueue_many([make_message("job")])
        assert Child(other.broker()).claim() == []
        assert other.broker().enqueue_many([make_message("job")]) == [True]
    finally:
        other.close()


def test_a_settled_batch_leaves_no_key_behind_but_its_results(store: RedisHarness) -> None:
    broker = store.broker()
    child = Child(broker)
    broker.enqueue_many([make_message() for _ in range(20)])
    claims = child.claim()
    child.settle(claims[0], Kind.RETRYING)
    child.settle_all(claims[1:])
    child.settle(child.claim_one())
    broker.sweep()
    assert store.leftovers() == 0
    assert len([name for name in store.key_names() if name.startswith("result:")]) == 20


def test_what_a_resume_has_left_undone_is_put_back_by_a_sweep(store: RedisHarness) -> None:
    broker = store.broker()
    child = Child(broker)
    broker.enqueue_many([make_message("a"), make_message("b")])
    broker.pause(task=TASK)
    assert child.claim() == []
    family = broker._family
    family.client.redis.hdel(f"{family.prefix}paused", f"task {TASK}")  # whoever resumed it has died after this
    assert child.claim() == []
    broker.let_in()
    assert ids(child.claim()) == ["a", "b"]
    assert [name for name in store.key_names() if name.startswith(("held", "holding", "withheld", "paused"))] == []
