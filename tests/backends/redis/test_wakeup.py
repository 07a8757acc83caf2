"""Idle workers are woken, one for each job that arrives, and no wake-up is lost with one that turns away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from django_jobs.backends.redis import RedisBroker
from django_jobs.core.claim import Want
from django_jobs.ports.broker import Exchanged
from django_jobs.testing.child import Child, ids, make_message, make_outcome
from tests.backends.redis.harness import RedisHarness
from tests.backends.redis.server import Server
from tests.services import require

LONG_SECONDS = 30.0
AT_ONCE_SECONDS = 5.0


@pytest.fixture
def store() -> Iterator[RedisHarness]:
    harness = RedisHarness(require("redis").url)
    yield harness
    harness.close()


class Waiter:
    """A thread that waits once and notes how long it took."""

    def __init__(
        self, broker: RedisBroker, queues: list[str] | None, wake_fd: int | None = None, want: Want | None = None
    ) -> None:
        self.broker = broker
        self.seconds = -1.0
        self.want = want
        self.exchanged: Exchanged | None = None
        self.thread = threading.Thread(target=self._wait, args=(queues, wake_fd))
        self.thread.start()

    def _wait(self, queues: list[str] | None, wake_fd: int | None) -> None:
        started = time.monotonic()
        if self.want is None:
            self.broker.wait(queues, LONG_SECONDS, wake_fd)
        else:
            self.exchanged = self.broker.wait_and_claim(self.want, queues, LONG_SECONDS, wake_fd)
        self.seconds = time.monotonic() - started

    def is_blocked(self) -> bool:
        """Return once the server says that the broker's own connection blocks; False when that never happens."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            client_id = self.broker._wakeup._client_id
            for client in self.broker._client.redis.client_list():
                if int(client["id"]) == client_id and "b" in client["flags"]:
                    return True
        return False

    def woke(self) -> bool:
        self.thread.join(LONG_SECONDS * 2)
        return 0 <= self.seconds < AT_ONCE_SECONDS


@pytest.mark.parametrize("queues", [None, ["default"], ["other", "default"]])
def test_a_job_wakes_who_waits_for_its_queue(store: RedisHarness, queues: list[str] | None) -> None:
    waiter = Waiter(store.broker(), queues)
    assert waiter.is_blocked()
    store.broker().enqueue_many([make_message()])
    assert waiter.woke()


def test_a_retry_a_release_and_an_unparked_job_wake_too(store: RedisHarness) -> None:
    broker = store.broker()
    child = Child(broker)
    broker.enqueue_many([make_message("job")])
    claim = child.claim_one()
    broker._client.redis.delete(*[f"{{{store.policy.namespace}}}:wake:{name}" for name in ("default", "*")])
    waiter = Waiter(store.broker(), ["default"])
    assert waiter.is_blocked()
    broker.release([claim.name], cause="interrupted")
    assert waiter.woke()
    assert ids(child.claim()) == ["job"]


def test_who_leaves_work_wakes_another(store: RedisHarness) -> None:
    child = Child(store.broker())
    waiters = [Waiter(store.broker(), ["default"]) for _ in range(2)]
    assert all(waiter.is_blocked() for waiter in waiters)
    store.broker().enqueue_many([make_message() for _ in range(3)])
    child.claim(limit=1)
    assert [waiter.woke() for waiter in waiters] == [True, True]


def test_a_worker_that_turns_away_takes_no_wake_up_with_it(store: RedisHarness) -> None:
    reader, writer = os.pipe()
    try:
        first = Waiter(store.broker(), ["default"], reader)
        assert first.is_blocked()
        os.write(writer, b"x")
        assert first.woke()
        second = Waiter(store.broker(), ["default"])
        assert second.is_blocked()
        store.broker().enqueue_many([make_message()])
        assert second.woke()
        # The first one's connection is in order: it can wait again.
        again = Waiter(first.broker, ["default"])
        again.thread.join(0)
        store.broker().enqueue_many([make_message()])
        assert again.woke()
    finally:
        os.close(reader)
        os.close(writer)


class TestAClaimBehindTheHint:
    def test_the_job_comes_with_the_hint_and_is_settled_as_any(self, store: RedisHarness) -> None:
        broker = store.broker()
        child = Child(broker)
        waiter = Waiter(broker, ["default"], want=child.want(limit=1))
        assert waiter.is_blocked()
        store.broker().enqueue_many([make_message("a"), make_message("b")])
        assert waiter.woke()
        assert waiter.exchanged is not None
        assert (ids(list(waiter.exchanged.claims)), waiter.exchanged.more) == (["a"], True)
        assert child.settle(waiter.exchanged.claims[0])
        assert ids(child.claim()) == ["b"]

    def test_it_is_repeated_by_name_like_any_claim(self, store: RedisHarness) -> None:
        broker = store.broker()
        child = Child(broker)
        want = child.want()
        waiter = Waiter(broker, None, want=want)
        assert waiter.is_blocked()
        store.broker().enqueue_many([make_message("a")])
        assert waiter.woke()
        store.broker().enqueue_many([make_message("b")])
        assert ids(list(child.ask(want).claims)) == ["a"], "its answer was lost"

    def test_who_is_called_away_has_claimed_too(self, store: RedisHarness) -> None:
        reader, writer = os.pipe()
        try:
            broker = store.broker()
            child = Child(broker)
            waiter = Waiter(broker, ["default"], reader, want=child.want("default", "other"))
            assert waiter.is_blocked()
            store.broker().enqueue_many([make_message("quiet", queue="other")])  # which is not waited for
            os.write(writer, b"x")
            assert waiter.woke()
            assert waiter.exchanged is not None
            assert ids(list(waiter.exchanged.claims)) == ["quiet"]
        finally:
            os.close(reader)
            os.close(writer)

    def test_an_unknown_script_is_told_by_none_and_claims_nothing(self, server: Server) -> None:
        store = RedisHarness(server.url)
        broker = store.broker()
        child = Child(broker)
        want = child.want()
        waiter = Waiter(broker, ["default"], want=want)
        assert waiter.is_blocked()
        other = store.broker()
        other.enqueue_many([])
        other._client.redis.script_flush()
        other.enqueue_many([make_message("a")])
        assert waiter.woke()
        assert waiter.exchanged is None
        assert ids(list(child.ask(want).claims)) == ["a"]

    def test_a_dead_session_claims_nothing_by_a_want_that_stands(self, store: RedisHarness) -> None:
        broker = store.broker()
        child = Child(broker)
        waiter = Waiter(broker, ["default"], want=child.want())
        assert waiter.is_blocked()
        other = store.broker()
        store.advance(60)
        assert other.rescue(timeout_seconds=30, max_crashes=3, at_most_once=()).sessions == (child.session,)
        other.enqueue_many([make_message("a")])
        assert waiter.woke()
        assert waiter.exchanged is not None
        assert waiter.exchanged.claims == ()


def test_a_lost_wake_up_loses_no_job(store: RedisHarness) -> None:
    broker = store.broker()
    broker.enqueue_many([make_message("job")])
    broker._client.redis.delete(*[f"{{{store.policy.namespace}}}:wake:{name}" for name in ("default", "*")])
    assert ids(Child(broker).claim()) == ["job"]


def test_a_caller_is_woken_by_the_end_of_its_job(store: RedisHarness) -> None:
    child = Child(store.broker())
    child.broker.enqueue_many([make_message("job")])
    claim = child.claim_one()
    results = store.results()
    seconds: list[float] = []

    def wait() -> None:
        started = time.monotonic()
        results.wait(["job"], LONG_SECONDS)
        seconds.append(time.monotonic() - started)

    caller = threading.Thread(target=wait)
    caller.start()
    deadline = time.monotonic() + 10
    while "awaited" not in store.key_names() and time.monotonic() < deadline:
        pass
    child.broker.exchange([make_outcome(claim)], None)
    caller.join(LONG_SECONDS * 2)
    assert seconds[0] < AT_ONCE_SECONDS
    assert "awaited" not in store.key_names()
