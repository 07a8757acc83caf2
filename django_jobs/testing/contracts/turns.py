"""Cases of the broker's contract: jobs of a queue that take turns by a key."""

from __future__ import annotations

import random
from typing import Any

import pytest

from django_jobs.core.bounds import Bounds, Limit, Unique
from django_jobs.core.message import Message
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker, CancelAnswer, Taken
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_bound, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

SECOND = 1_000_000


def keyed(job_id: str, key: str | None = None, *, limit: Limit | None = None, **fields: Any) -> Message:
    """Return a job of a key of turns, which is the first letter of its id if not given."""
    return make_bound(job_id, bounds=Bounds(fair=job_id[0] if key is None else key, limit=limit), **fields)


def many(letter: str, count: int, **fields: Any) -> list[Message]:
    return [keyed(f"{letter}{number:03}", **fields) for number in range(count)]


class TurnCases(BrokerCases):
    """Of several keys each comes to its turn, however many jobs of one wait; a job keeps the place that it has."""

    def test_a_job_with_a_key_comes_out_as_it_went_in(self, broker: Broker, child: Child) -> None:
        messages = [keyed("a", "shop:7", priority=3), keyed("b", ""), keyed("c", "ключ 'ä\"%")]
        assert broker.enqueue_many(messages) == [True, True, True]
        assert [claim.message for claim in child.claim()] == messages
        assert broker.enqueue_unique([messages[0]]) == [Taken("a", is_new=False)]

    def test_one_with_many_jobs_does_not_keep_the_others_waiting(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 50))
        broker.enqueue_many([keyed("b000"), keyed("b001"), keyed("c000")])
        first = ids(child.claim(limit=6))
        assert {"b000", "b001", "c000"} <= set(first)
        assert [job_id for job_id in first if job_id[0] == "a"] == ["a000", "a001", "a002"]

    def test_who_comes_while_others_run_is_next(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 20))
        assert ids(child.claim(limit=5)) == [f"a{number:03}" for number in range(5)]
        broker.enqueue_many(many("b", 3))
        assert sorted(ids(child.claim(limit=6))) == ["a005", "a006", "a007", "b000", "b001", "b002"]

    def test_jobs_of_one_key_stay_in_order(self, broker: Broker, child: Child) -> None:
        for number in range(12):
            broker.enqueue_many([keyed(f"{letter}{number:03}") for letter in "abc"[: 1 + number % 3]])
        order = ids(child.claim())
        for letter in "abc":
            assert [job_id for job_id in order if job_id[0] == letter] == sorted(
                job_id for job_id in order if job_id[0] == letter
            )

    @pytest.mark.parametrize("seed", range(5))
    def test_nobody_waits_for_more_than_a_turn_of_each(self, broker: Broker, child: Child, seed: int) -> None:
        """Whatever comes when: while the n-th waiting job of a key waits, no other key has more than n + 1 turns."""
        draw = random.Random(seed)
        counts = dict.fromkeys("abcd", 0)
        waiting: dict[str, list[str]] = {letter: [] for letter in counts}
        overtaken: dict[str, dict[str, int]] = {}
        bound: dict[str, int] = {}
        for _ in range(30):
            for _ in range(draw.randrange(6)):
                letter = draw.choices("abcd", [8, 3, 1, 1])[0]
                job_id = f"{letter}{counts[letter]:03}"
                counts[letter] += 1
                broker.enqueue_many([keyed(job_id)])
                waiting[letter].append(job_id)
                bound[job_id], overtaken[job_id] = len(waiting[letter]) + 1, dict.fromkeys("abcd", 0)
            for claim in child.claim(limit=draw.randrange(1, 4)):
                claimed = claim.message.id
                assert waiting[claimed[0]].pop(0) == claimed
                for job_id in [job_id for line in waiting.values() for job_id in line if job_id[0] != claimed[0]]:
                    overtaken[job_id][claimed[0]] += 1
                    assert overtaken[job_id][claimed[0]] <= bound[job_id], f"{job_id} was overtaken by {claimed}"
                child.settle(claim)

    def test_priority_comes_before_turns(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([*many("a", 3), keyed("b000"), keyed("a100", priority=5), keyed("a101", priority=5)])
        order = ids(child.claim())
        assert order[:2] == ["a100", "a101"]
        assert order.index("b000") == 3, "turns of one priority are counted by themselves"

    def test_queues_have_turns_of_their_own(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([*many("a", 9, queue="one"), *many("b", 9, queue="two"), keyed("a200", queue="two")])
        assert "a200" in ids(child.claim("two", limit=2))

    def test_jobs_without_a_key_stand_by_their_time(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 10))
        store.advance(60)
        broker.enqueue_many([make_message("x"), make_message("y")])
        store.advance(60)
        broker.enqueue_many([keyed("b000")])
        order = ids(child.claim())
        assert order.index("b000") < 3
        assert order[-2:] == ["x", "y"]

    def test_the_key_of_all_others_takes_its_turns_too(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 10))
        broker.enqueue_many([keyed("x", ""), keyed("y", "")])
        assert {"x", "y"} <= set(ids(child.claim(limit=4)))

    def test_a_released_job_keeps_its_turn(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([*many("a", 5), *many("b", 5)])
        first = child.claim(limit=4)
        broker.release([first[0].name], cause="shutdown")
        assert ids(child.claim(limit=4)) == ids(first)

    def test_a_retry_at_once_keeps_its_turn_and_a_later_one_gets_another(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([*many("a", 40), *many("b", 40)])
        claim = child.claim_one()
        assert child.settle(claim, Kind.RETRYING)
        again = child.claim_one()
        assert (again.message.id, again.failures) == (claim.message.id, 1)
        child.settle(again, Kind.RETRYING, delay_seconds=60.0)
        store.advance(61)
        order = ids(Child(store.broker(), "session-3").claim())
        assert order.index(claim.message.id) >= len(order) - 2, "behind all that wait of its key"

    def test_what_becomes_due_takes_its_turn_then(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 20, delay_us=60 * SECOND))
        views = broker.state_of(["a000"])
        assert views["a000"].state is State.SCHEDULED
        store.advance(61)
        broker.enqueue_many(many("b", 2))
        order = ids(Child(store.broker(), "session-3").claim())
        assert sorted(order) == sorted([*(f"a{number:03}" for number in range(20)), "b000", "b001"])
        assert {"b000", "b001"} <= set(order[:5])

    def test_a_later_job_can_be_cancelled_before_and_after_it_is_due(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([keyed("0"), keyed("a", delay_us=60 * SECOND), keyed("b", delay_us=60 * SECOND)])
        assert broker.cancel("a") is CancelAnswer.CANCELLED
        store.advance(61)
        assert ids(Child(store.broker(), "session-3").claim(limit=1)) == ["0"]
        assert broker.cancel("b") is CancelAnswer.CANCELLED
        assert Child(store.broker(), "session-4").claim() == []

    def test_turns_are_taken_in_front_of_a_limit(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        limit = Limit(key="mail", slots=1)
        broker.enqueue_many(many("a", 8, limit=limit))
        first = child.claim_one()
        assert first.message.id == "a000"
        broker.enqueue_many([keyed("b000", limit=limit), keyed("b001", limit=limit)])
        assert Child(store.broker(), "session-3").claim() == [], "it has looked at what is due"
        order = []
        claims = [first]
        while claims:
            child.settle_all(claims, keep=False)
            claims = child.claim()
            order += ids(claims)
        assert {"b000", "b001"} <= set(order[:5])
        assert [job_id for job_id in order if job_id[0] == "a"] == [f"a{number:03}" for number in range(1, 8)]

    def test_a_job_that_is_started_again_takes_a_new_turn(
        self, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([keyed("a000")])
        child.settle(child.claim_one(), Kind.FAILED)
        broker.enqueue_many([*many("a", 6)[1:], *many("b", 2)])
        assert broker.requeue(results.load_many(["a000"])["a000"])
        order = ids(child.claim())
        assert order[-1] == "a000"
        assert {"b000", "b001"} <= set(order[:4])

    def test_a_unique_job_takes_turns(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 10))
        bounds = Bounds(unique=Unique(key="k"), fair="b")
        assert broker.enqueue_unique([make_bound("b000", bounds=bounds)]) == [Taken("b000", is_new=True)]
        assert broker.enqueue_unique([make_bound("b001", bounds=bounds)]) == [Taken("b000", is_new=False)]
        assert "b000" in ids(child.claim(limit=2))

    def test_a_tick_takes_its_turn(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(many("a", 10))
        assert broker.enqueue_tick("nightly", 1, keyed("b000"))
        assert "b000" in ids(child.claim(limit=2))

    def test_unparked_jobs_are_where_they_were(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([*many("a", 4), *many("b", 4)])
        first = child.claim_one()
        child.settle(first, Kind.UNKNOWN_TASK)
        assert broker.unpark([first.message.task]) == 1
        assert child.claim_one().message.id == first.message.id

    def test_how_long_the_oldest_waits_is_told_by_its_enqueue(self, store: StoreHarness, broker: Broker) -> None:
        broker.enqueue_many([keyed("a000")])
        store.advance(100)
        broker.enqueue_many([keyed("b000")])
        (stats,) = broker.stats()
        assert 100 <= stats.oldest_seconds < 160
        assert broker.cancel("a000") is CancelAnswer.CANCELLED
        (stats,) = broker.stats()
        assert stats.oldest_seconds < 60

    def test_nothing_is_left_of_a_turn(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([keyed(f"{number:03}", f"key-{number % 70}") for number in range(300)])
        broker.enqueue_many([keyed(f"l{number}", limit=Limit(key="mail", slots=1)) for number in range(3)])
        while claims := child.claim():
            child.settle_all(claims, keep=False)
        store.advance(90_000)
        child.claim()
        while broker.let_in() + broker.sweep():
            pass
        assert store.leftovers() in {0, None}
