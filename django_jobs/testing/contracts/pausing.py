"""Cases of the broker's contract: no job of a paused queue or task is claimed, and all of them wait as others do."""

from __future__ import annotations

import threading
import time

import pytest

from django_jobs.core.bounds import Bounds, Limit, Unique
from django_jobs.core.outcome import Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker, CancelAnswer, Taken
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import QUEUE, TASK, Child, ids, make_bound, make_message
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

MANY = 1200
"""More than a step of any store puts aside or back."""
CLAIMS = 200
DEADLINE_SECONDS = 60
WAYS = {
    "ready": None,
    "scheduled": None,
    "retrying": Kind.RETRYING,
    "snoozed": Kind.SNOOZED,
    "released": Kind.RELEASED,
    "suspect": Kind.CRASHED,
    "parked": Kind.UNKNOWN_TASK,
}
PAUSES = [{"queue": QUEUE}, {"task": TASK}]


def name_of(pause: dict[str, str]) -> str:
    return next(iter(pause))


def drain(child: Child, *queues: str, limit: int = 100) -> list[str]:
    """Claim, also suspects, and settle until nothing is to be had and no more is promised; return the ids in order."""
    order: list[str] = []
    idle = 0
    for number in range(CLAIMS):
        answer = child.ask(child.want(*queues, limit=limit, suspects=bool(number % 2)))
        order += ids(answer.claims)
        child.settle_all(answer.claims)
        idle = 0 if answer.claims or answer.more else idle + 1
        if idle == 2:
            return order
    raise AssertionError(f"{CLAIMS} claims, and there is always more; they brought {order}")


class PauseCases(BrokerCases):
    """What a pause keeps back, and what it leaves as it is."""

    def test_a_pause_is_shown_with_who_when_and_why(self, store: StoreHarness, broker: Broker) -> None:
        assert list(broker.paused()) == []
        assert broker.pause(task="shop.mail") is True
        assert broker.pause(queue="b", by="ann", reason="the shop's server is down") is True
        assert broker.pause(queue="a.b-c:1") is True
        pauses = store.broker().paused()
        assert [(pause.kind, pause.name, pause.by, pause.reason) for pause in pauses] == [
            ("queue", "a.b-c:1", "", ""),
            ("queue", "b", "ann", "the shop's server is down"),
            ("task", "shop.mail", "", ""),
        ]
        assert all(abs(pause.since_us - store.now_us()) < 60_000_000 for pause in pauses)

    def test_a_pause_that_is_there_stays_as_it_is(self, broker: Broker) -> None:
        broker.pause(queue=QUEUE, by="ann", reason="first")
        before = list(broker.paused())
        assert broker.pause(queue=QUEUE, by="bob", reason="second") is False
        assert list(broker.paused()) == before

    def test_a_resume_ends_one_pause_and_says_whether_there_was_one(self, broker: Broker) -> None:
        assert broker.resume(queue="a") is False
        broker.pause(queue="a")
        broker.pause(task="a")
        assert [broker.resume(queue="a"), broker.resume(queue="a")] == [True, False]
        assert [pause.kind for pause in broker.paused()] == ["task"]
        assert broker.resume(task="a") is True
        assert list(broker.paused()) == []

    def test_exactly_one_is_paused_at_a_time(self, broker: Broker) -> None:
        for both in ({}, {"queue": "a", "task": "b"}):
            with pytest.raises(ValueError, match="queue or a task"):
                broker.pause(**both)
            with pytest.raises(ValueError, match="queue or a task"):
                broker.resume(**both)

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    @pytest.mark.parametrize("way", WAYS)
    def test_no_job_is_claimed_whichever_way_it_came_to_wait(
        self, store: StoreHarness, broker: Broker, child: Child, pause: dict[str, str], way: str
    ) -> None:
        broker.enqueue_many([make_message("job", delay_us=60_000_000 if way == "scheduled" else None)])
        kind = WAYS[way]
        claim = child.claim_one() if kind is not None else None
        broker.pause(**pause)
        if claim is not None and kind is not None:
            assert child.settle(claim, kind, delay_seconds=60.0), "what is claimed goes on"
        store.advance(61)
        broker.unpark([TASK])
        assert drain(child) == []
        assert drain(Child(store.broker(), "session-3")) == []
        assert broker.ready_queues() == []
        assert broker.suspect_queues() == []
        assert broker.state_of(["job"])["job"].state in {State.QUEUED, State.SCHEDULED, State.RETRYING}
        broker.resume(**pause)
        assert drain(Child(store.broker(), "session-4")) == ["job"]

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_a_dead_sessions_jobs_wait_too(
        self, store: StoreHarness, broker: Broker, child: Child, pause: dict[str, str]
    ) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        assert len(child.claim()) == 2
        broker.pause(**pause)
        store.advance(31)
        assert broker.rescue(timeout_seconds=30, max_crashes=3, at_most_once=()).jobs == 2
        other = Child(store.broker(), "session-3")
        assert drain(other) == []
        assert broker.state_of(["a"])["a"].suspect
        broker.resume(**pause)
        assert sorted(drain(other)) == ["a", "b"]

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_a_claim_that_is_repeated_brings_again_what_it_brought(
        self, broker: Broker, child: Child, pause: dict[str, str]
    ) -> None:
        broker.enqueue_many([make_message("job"), make_message("next")])
        want = child.want(limit=1)
        assert ids(child.ask(want).claims) == ["job"]
        broker.pause(**pause)
        (claim,) = child.ask(want).claims
        assert (claim.message.id, claim.attempt) == ("job", 1)
        assert child.settle(claim)

    def test_other_queues_and_tasks_go_on(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many(
            [make_message("a", queue="a"), make_message("b", queue="b"), make_message("ab", queue="ab")]
        )
        broker.pause(queue="a")
        assert sorted(broker.ready_queues()) == ["ab", "b"]
        assert ids(child.claim("a", "b", "ab")) == ["b", "ab"]
        broker.enqueue_many(
            [make_message("m1", task="shop.mail"), make_message("x"), make_message("m2", task="shop.mail")]
        )
        broker.pause(task="shop.mail")
        assert drain(child) == ["x"]
        broker.pause(task="shop")
        broker.enqueue_many([make_message("y", task="shop.mails")])
        assert drain(child) == ["y"], "a name is not the beginning of another"

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_jobs_are_enqueued_and_shown_as_waiting(self, broker: Broker, child: Child, pause: dict[str, str]) -> None:
        broker.pause(**pause)
        assert broker.enqueue_many([make_message("a"), make_message("b", delay_us=60_000_000)]) == [True, True]
        assert child.claim() == []
        view = broker.state_of(["a"])["a"]
        assert (view.state, view.parked, view.claim, view.attempt) == (State.QUEUED, "", None, 0)
        (stats,) = broker.stats()
        assert (stats.queued, stats.scheduled, stats.parked, stats.running) == (1, 1, 0, 0)
        assert [view.id for view in broker.list(state=State.QUEUED, queue=QUEUE, task=TASK, parked=False)] == ["a"]
        assert broker.list(state=State.RUNNING) == []
        assert [view.id for view in broker.list()] == ["a", "b"] or [view.id for view in broker.list()] == ["b", "a"]
        assert broker.enqueue_many([make_message("a")]) == [False], "it lives"

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_a_paused_job_can_be_cancelled(
        self, broker: Broker, child: Child, results: ResultStore, pause: dict[str, str]
    ) -> None:
        broker.pause(**pause)
        broker.enqueue_many([make_message(job_id) for job_id in "abc"])
        assert child.claim() == []
        assert broker.cancel("a") is CancelAnswer.CANCELLED
        assert broker.cancel_many(["b", "a"]) == [CancelAnswer.CANCELLED, CancelAnswer.CANCELLED]
        assert results.load_many(["a"])["a"].status is State.CANCELLED
        broker.resume(**pause)
        assert drain(child) == ["c"]

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_a_paused_job_still_expires(self, store: StoreHarness, broker: Broker, pause: dict[str, str]) -> None:
        broker.enqueue_many(
            [make_message("job", expires_after_us=60_000_000), make_message("late", delay_us=60_000_000)]
        )
        broker.pause(**pause)
        assert drain(Child(store.broker())) == []
        store.advance(61)
        broker.resume(**pause)
        claims = {claim.message.id: claim.expired for claim in Child(store.broker(), "session-2").claim()}
        assert claims == {"job": True, "late": False}

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_a_paused_job_holds_its_unique_key(self, broker: Broker, child: Child, pause: dict[str, str]) -> None:
        bounds = Bounds(unique=Unique(key="report"))
        broker.pause(**pause)
        broker.enqueue_many([make_bound("first", bounds=bounds)])
        assert child.claim() == []
        assert broker.enqueue_unique([make_bound("second", bounds=bounds)]) == [Taken("first", is_new=False)]
        replacing = Bounds(unique=Unique(key="report", conflict="replace"))
        assert broker.enqueue_unique([make_bound("third", bounds=replacing)]) == [Taken("third", is_new=True)]
        broker.resume(**pause)
        assert drain(child) == ["third"]

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_all_come_out_in_their_order(self, store: StoreHarness, broker: Broker, pause: dict[str, str]) -> None:
        broker.enqueue_many([make_message(f"{number}", priority=number % 3) for number in range(10, 20)])
        broker.pause(**pause)
        assert drain(Child(store.broker())) == []
        broker.enqueue_many([make_message(f"{number}", priority=number % 3) for number in range(20, 30)])
        assert drain(Child(store.broker(), "session-2")) == []
        broker.resume(**pause)
        order = drain(Child(store.broker(), "session-3"), limit=7)
        assert order == sorted(order, key=lambda job_id: (-(int(job_id) % 3), job_id))
        assert len(order) == 20

    def test_a_job_waits_for_its_queue_and_its_task(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        broker.pause(task=TASK)
        assert drain(child) == []
        broker.pause(queue=QUEUE)
        broker.resume(task=TASK)
        assert drain(child) == []
        broker.pause(task=TASK)
        broker.resume(queue=QUEUE)
        assert drain(child) == []
        assert broker.resume(task=TASK)
        assert drain(child) == ["job"]

    def test_a_resume_ends_a_wait(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        broker.pause(task=TASK)
        assert child.claim() == []
        people = threading.Thread(target=_resume, args=(store.broker().own(),))
        deadline = time.monotonic() + DEADLINE_SECONDS
        people.start()
        claims: list[str] = []
        while not claims and time.monotonic() < deadline:
            broker.wait([QUEUE], 1)
            claims = ids(child.claim())
        people.join(DEADLINE_SECONDS)
        assert claims == ["job"]


class PausedMultitudeCases(BrokerCases):
    """Many paused jobs cost the others nothing, and none of them is looked at over and over."""

    def test_many_jobs_of_a_paused_task_are_passed_once(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message(f"m{number:04}", task="shop.mail") for number in range(MANY)])
        broker.enqueue_many([make_message(f"x{number}") for number in range(3)])
        broker.pause(task="shop.mail")
        assert drain(child, limit=1) == ["x0", "x1", "x2"]
        assert broker.ready_queues() == [], "they are no work any more"
        answer = child.ask(child.want())
        assert (answer.claims, answer.more) == ((), False)
        assert [(stats.queued, stats.running) for stats in broker.stats()] == [(MANY, 0)]

    def test_they_return_in_their_order(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message(f"m{number:04}", task="shop.mail") for number in range(MANY)])
        broker.pause(task="shop.mail")
        assert drain(child) == []
        broker.resume(task="shop.mail")
        assert drain(other) == [f"m{number:04}" for number in range(MANY)]

    @pytest.mark.parametrize("pause", PAUSES, ids=name_of)
    def test_nothing_is_left_of_paused_jobs_that_were_cancelled(
        self, store: StoreHarness, broker: Broker, child: Child, pause: dict[str, str]
    ) -> None:
        broker.enqueue_many([make_message(f"{number}") for number in range(30)])
        broker.pause(**pause)
        assert drain(child) == []
        assert set(broker.cancel_many([f"{number}" for number in range(30)])) == {CancelAnswer.CANCELLED}
        broker.resume(**pause)
        store.advance(2 * 86_400)
        broker.let_in()
        while broker.sweep():
            pass
        assert broker.stats() == []
        assert store.leftovers() in {0, None}


class PausedLimitCases(BrokerCases):
    """A paused job takes no place of a limit that another job could have."""

    @staticmethod
    def enqueue(broker: Broker, *job_ids: str, slots: int = 1) -> None:
        bounds = Bounds(limit=Limit(key="shop.mail", slots=slots))
        for job_id in job_ids:
            kind = job_id[0]
            queue = "paused" if kind == "q" else QUEUE
            broker.enqueue_many(
                [make_bound(job_id, bounds=bounds, queue=queue, task="shop.mail" if kind == "t" else TASK)]
            )

    def test_a_job_of_a_paused_task_gives_its_place_to_the_next(self, broker: Broker, child: Child) -> None:
        self.enqueue(broker, "t1", "t2", "x1", "t3", "x2")
        broker.pause(task="shop.mail")
        order = []
        for _ in range(4):
            claims = child.claim("default", "paused")
            order += ids(claims)
            child.settle_all(claims)
        assert order == ["x1", "x2"]
        broker.resume(task="shop.mail")
        assert drain(child) == ["t1", "t2", "t3"]

    def test_a_place_that_was_given_before_the_pause_is_given_back(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        self.enqueue(broker, "x0", "q1", "q2", "x1")
        first = child.claim_one("paused", QUEUE)
        assert first.message.id == "x0"
        assert child.settle(first), "which lets q1 through"
        broker.pause(queue="paused")
        broker.let_in()
        other = Child(store.broker(), "session-2")
        assert drain(other, "paused", QUEUE) == ["x1"]
        broker.resume(queue="paused")
        assert drain(Child(store.broker(), "session-3"), "paused", QUEUE) == ["q1", "q2"]

    def test_a_place_that_becomes_free_is_not_given_to_a_paused_job(self, broker: Broker, child: Child) -> None:
        self.enqueue(broker, "x0", "q1", "t1", "x1", "q2", "x2")
        first = child.claim_one("paused", QUEUE)
        broker.pause(queue="paused")
        broker.pause(task="shop.mail")
        assert child.settle(first)
        order = []
        for _ in range(4):
            broker.let_in()
            claims = child.claim("paused", QUEUE)
            order += ids(claims)
            child.settle_all(claims)
        assert order == ["x1", "x2"]
        broker.resume(queue="paused")
        broker.resume(task="shop.mail")
        assert sorted(drain(child, "paused", QUEUE)) == ["q1", "q2", "t1"]

    def test_no_more_are_let_in_after_a_resume_than_there_are_places(self, broker: Broker, child: Child) -> None:
        self.enqueue(broker, "t1", "t2", "t3", slots=2)
        broker.pause(task="shop.mail")
        assert child.claim() == []
        broker.resume(task="shop.mail")
        assert ids(child.claim()) == ["t1", "t2"]


def _resume(broker: Broker) -> None:
    try:
        broker.resume(task=TASK)
    finally:
        broker.close()
