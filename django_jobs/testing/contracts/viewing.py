"""Cases of the broker's contract: what people see, waiting for work, sweeping, and connections of one's own."""

from __future__ import annotations

import os
import threading
import time

import pytest

from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.testing.child import Child, ids, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness


class ProgressCases(BrokerCases):
    """What running jobs say about themselves."""

    def test_the_last_word_of_a_running_job_is_told(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        first, _ = child.claim()
        assert broker.set_progress([("a", first.attempt, '{"done":1}')]) == ["a"]
        assert broker.set_progress([("a", first.attempt, '{"message":"ü"}')]) == ["a"]
        assert broker.progress_of(["a", "b", "c"]) == {"a": '{"message":"ü"}'}
        assert broker.progress_of([]) == {}
        assert broker.set_progress([]) == []

    def test_an_attempt_that_is_over_says_nothing(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("waiting")])
        first = child.claim_one()
        child.settle(first, Kind.RETRYING)
        assert broker.set_progress([("a", first.attempt, "late"), ("waiting", 0, "early"), ("gone", 1, "x")]) == []
        claims = {claim.message.id: claim for claim in child.claim()}
        notes = [("a", first.attempt, "late"), ("a", claims["a"].attempt, "now")]
        assert broker.set_progress(notes) == ["a"]
        assert broker.progress_of(["a", "waiting", "gone"]) == {"a": "now"}

    def test_a_last_word_outlives_its_job_for_a_day(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a")])
        claim = child.claim_one()
        broker.set_progress([("a", claim.attempt, "done")])
        child.settle(claim)
        assert broker.progress_of(["a"]) == {"a": "done"}


class ViewCases(BrokerCases):
    """Looking never changes anything."""

    @pytest.fixture
    def zoo(self, broker: Broker, child: Child) -> Broker:
        """A broker with one live job in each state, in two queues."""
        for job_id in ("running", "retrying", "parked", "suspect"):
            broker.enqueue_many([make_message(job_id, queue="a", task=f"shop.{job_id}")])
        claims = child.claim("a")
        child.settle(claims[1], Kind.RETRYING, delay_seconds=60)
        child.settle(claims[2], Kind.UNKNOWN_TASK)
        child.settle(claims[3], Kind.CRASHED)
        broker.enqueue_many([make_message("queued", queue="a"), make_message("elsewhere", queue="b")])
        broker.enqueue_many([make_message("scheduled", queue="a", delay_us=60_000_000)])
        return broker

    def test_the_state_of_live_jobs_is_told(self, zoo: Broker) -> None:
        names = ["running", "retrying", "parked", "suspect", "queued", "scheduled", "nobody"]
        views = zoo.state_of(names)
        assert {job_id: view.state for job_id, view in views.items()} == {
            "running": State.RUNNING,
            "retrying": State.RETRYING,
            "parked": State.QUEUED,
            "suspect": State.QUEUED,
            "queued": State.QUEUED,
            "scheduled": State.SCHEDULED,
        }
        assert [job_id for job_id, view in views.items() if view.parked] == ["parked"]
        assert [job_id for job_id, view in views.items() if view.suspect] == ["suspect"]
        assert sorted(job_id for job_id, view in views.items() if view.due_us) == ["retrying", "scheduled"]

    def test_a_view_shows_the_message(self, broker: Broker) -> None:
        message = make_message("job", queue="q", task="shop.t", priority=5, body='{"v":1,"args":["é"]}')
        broker.enqueue_many([message])
        view = broker.state_of(["job"])["job"]
        assert (view.id, view.task, view.queue, view.body, view.priority) == (
            message.id,
            message.task,
            message.queue,
            message.body,
            message.priority,
        )

    def test_the_numbers_are_told_by_queue_and_state(self, zoo: Broker) -> None:
        a, b = sorted(zoo.stats(), key=lambda stats: stats.queue)
        assert (a.queue, a.scheduled, a.queued, a.retrying, a.parked, a.running) == ("a", 1, 2, 1, 1, 1)
        assert (b.queue, b.scheduled, b.queued, b.retrying, b.parked, b.running) == ("b", 0, 1, 0, 0, 0)

    def test_the_oldest_waiting_job_is_told(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message()])
        store.advance(100)
        broker.enqueue_many([make_message()])
        (stats,) = broker.stats()
        assert 100 <= stats.oldest_seconds < 160
        child.claim_one()
        (stats,) = broker.stats()
        assert 0 <= stats.oldest_seconds < 60

    def test_an_empty_broker_has_no_queues(self, broker: Broker) -> None:
        assert (broker.stats(), broker.list(), broker.ready_queues(), broker.state_of([])) == ([], [], [], {})

    def test_every_live_job_is_listed_once_over_the_pages(self, zoo: Broker) -> None:
        whole = zoo.list()
        assert len(whole) == 7
        after, paged = "", []
        while page := zoo.list(after=after, limit=2):
            assert len(page) <= 2
            paged += page
            after = page[-1].place
        assert [view.id for view in paged] == [view.id for view in whole]
        assert whole == [zoo.state_of([view.id])[view.id] for view in whole]

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"queue": "b"}, {"elsewhere"}),
            ({"queue": "none"}, set()),
            ({"state": State.RUNNING}, {"running"}),
            ({"state": State.RETRYING}, {"retrying"}),
            ({"state": State.SCHEDULED}, {"scheduled"}),
            ({"state": State.QUEUED, "queue": "a"}, {"queued", "suspect", "parked"}),
            ({"state": State.SUCCEEDED}, set()),
            ({"task": "shop.parked"}, {"parked"}),
            ({"parked": True}, {"parked"}),
            ({"parked": True, "queue": "b"}, set()),
            ({"state": State.QUEUED, "parked": False}, {"queued", "suspect", "elsewhere"}),
            ({"task": "shop.parked", "queue": "b"}, set()),
        ],
        ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
    )
    def test_a_list_can_be_narrowed(self, zoo: Broker, wanted: dict[str, object], expected: set[str]) -> None:
        assert {view.id for view in zoo.list(**wanted)} == expected  # type: ignore[arg-type]  # a table of arguments

    def test_a_narrowed_list_has_pages_too(self, broker: Broker) -> None:
        broker.enqueue_many([make_message(f"{number:02}", queue="ab"[number % 2]) for number in range(20)])
        after, paged = "", []
        while page := broker.list(queue="b", after=after, limit=3):
            paged += page
            after = page[-1].place
        assert sorted(view.id for view in paged) == [f"{number:02}" for number in range(1, 20, 2)]

    def test_queues_with_work_are_named(self, store: StoreHarness, zoo: Broker, child: Child) -> None:
        assert sorted(zoo.ready_queues()) == ["a", "b"]
        child.claim("a", "b")
        assert zoo.ready_queues() == ["a"], "its suspect is work"
        child.claim_suspect("a")
        assert zoo.ready_queues() == []
        store.advance(61)
        assert zoo.ready_queues() == ["a"], "what is due is work"

    def test_queues_with_suspects_are_named_while_these_wait(self, zoo: Broker, child: Child) -> None:
        assert zoo.suspect_queues() == ["a"]
        child.claim_suspect("a")
        assert zoo.suspect_queues() == []

    def test_the_description_is_one_line(self, broker: Broker) -> None:
        assert broker.describe().strip()
        assert "\n" not in broker.describe()


class WaitCases(BrokerCases):
    """Waiting is a hint, and never longer than asked for."""

    def test_a_wait_ends_when_its_file_descriptor_is_readable(self, broker: Broker) -> None:
        reader, writer = os.pipe()
        try:
            os.write(writer, b"x")
            started = time.monotonic()
            broker.wait(["default"], 60, reader)
            assert time.monotonic() - started < 30
            assert os.read(reader, 1) == b"x", "the caller empties it"
        finally:
            os.close(reader)
            os.close(writer)

    def test_a_wait_ends_after_its_time(self, broker: Broker) -> None:
        started = time.monotonic()
        broker.wait(None, 0.05)
        assert time.monotonic() - started < 30

    def test_a_job_ends_a_wait_in_time(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        producer = threading.Thread(target=_enqueue, args=(store.broker().own(),))
        deadline = time.monotonic() + 60
        producer.start()
        claims: list[str] = []
        while not claims and time.monotonic() < deadline:
            broker.wait(["default"], 1)
            claims = ids(child.claim())
        producer.join(60)
        assert claims == ["job"]


class UpkeepCases(BrokerCases):
    """Nothing is left behind, and connections come and go."""

    def test_nothing_is_left_of_ended_jobs(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        kinds = [Kind.SUCCEEDED, Kind.FAILED, Kind.EXPIRED, Kind.CANCELLED]
        broker.enqueue_many([make_message(f"{kind}", id_given=kind is Kind.FAILED) for kind in kinds])
        for claim, kind in zip(child.claim(), kinds, strict=True):
            child.settle(claim, kind, keep=False)
        broker.enqueue_many([make_message("waiting"), make_message("later", delay_us=60_000_000)])
        broker.cancel("waiting")
        broker.cancel("later")
        broker.cancel("nobody")
        store.advance(2 * 86_400)
        while broker.sweep():
            pass
        assert broker.stats() == []
        assert store.leftovers() in {0, None}

    def test_a_sweep_is_bounded_and_takes_only_what_is_over(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        messages = [make_message(f"{number}", id_given=True) for number in range(5)]
        broker.enqueue_many(messages)
        child.settle_all(child.claim(limit=4), keep=False)
        assert broker.sweep() == 0
        store.advance(80_000)
        child.settle_all(child.claim(), keep=False)
        store.advance(7_000)
        assert [broker.sweep(limit=3), broker.sweep(limit=3), broker.sweep(limit=3)] == [3, 1, 0]
        assert broker.enqueue_many([messages[4], messages[0]]) == [False, True]

    def test_a_broker_of_ones_own_sees_the_same_jobs(self, broker: Broker) -> None:
        own = broker.own()
        try:
            child = Child(own)
            broker.enqueue_many([make_message("job")])
            claim = child.claim_one()
            own.close()
            assert child.settle(claim), "the next call connects again"
            assert broker.stats() == []
        finally:
            own.close()

    def test_other_queues_do_not_notice(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("b", queue="b")])
        before = broker.state_of(["b"])
        broker.enqueue_many([make_message("a", queue="a")])
        child.settle(child.claim_one("a"), Kind.RETRYING)
        broker.cancel("a")
        assert broker.state_of(["b"]) == before
        (stats,) = broker.stats()
        assert (stats.queue, stats.queued, stats.running) == ("b", 1, 0)


def _enqueue(broker: Broker) -> None:
    try:
        broker.enqueue_many([make_message("job")])
    finally:
        broker.close()
