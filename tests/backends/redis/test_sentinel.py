"""Sentinel with real processes: jobs go to the primary that the sentinels name, also after it has died."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from django_jobs.backends.redis import RedisBroker
from django_jobs.core.policy import Policy
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.testing.child import Child, ids, make_message
from tests.backends.redis.server import Server, select_a_moment

FAILOVER_SECONDS = 30.0


@pytest.fixture
def primary(make_server: Callable[..., Server]) -> Server:
    return make_server().start()


@pytest.fixture
def replica(primary: Server, make_server: Callable[..., Server]) -> Server:
    server = make_server(replicaof=f"127.0.0.1 {primary.port}").start()
    deadline = time.monotonic() + FAILOVER_SECONDS
    while server.client().info("replication")["master_link_status"] != "up":
        assert time.monotonic() < deadline
        select_a_moment()
    return server


@pytest.fixture
def sentinels(primary: Server, replica: Server, make_server: Callable[..., Server]) -> list[Server]:
    lines = [
        f"sentinel monitor main 127.0.0.1 {primary.port} 2",
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 2000",
    ]
    started = [make_server(sentinel=True).start(*lines) for _ in range(3)]
    deadline = time.monotonic() + FAILOVER_SECONDS
    while not all(_knows_everybody(server) for server in started):
        assert time.monotonic() < deadline, "the sentinels did not find each other"
        select_a_moment()
    return started


def _knows_everybody(sentinel: Server) -> bool:
    state = sentinel.client().execute_command("SENTINEL", "MASTER", "main")
    pairs = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    found = {str(key.decode() if isinstance(key, bytes) else key): value for key, value in pairs.items()}
    return int(found["num-slaves"]) == 1 and int(found["num-other-sentinels"]) == 2


def url_of(sentinels: list[Server]) -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in sentinels)
    return f"redis+sentinel://{hosts}/main/0"


def test_jobs_go_on_after_a_failover(primary: Server, replica: Server, sentinels: list[Server]) -> None:
    url = url_of(sentinels)
    broker = RedisBroker(Policy(broker=url, result_store=url))
    child = Child(broker)
    broker.enqueue_many([make_message(job_id, id_given=True) for job_id in "abc"])
    claim = child.claim_one()
    assert primary.client().wait(1, 5000) == 1, "the replica has it"
    primary.stop()
    message = make_message("d", id_given=True)
    deadline = time.monotonic() + FAILOVER_SECONDS
    refusals: list[str] = []
    while True:
        try:
            answer = broker.enqueue_many([message])
            break
        except BrokerUnavailable as error:
            refusals.append(str(error))
            assert time.monotonic() < deadline, refusals[-1]
            select_a_moment()
    assert answer in ([True], [False]), "repeating it made no second job"
    assert refusals, "the primary was gone for a while"
    assert replica.client().info("replication")["role"] == "master"
    assert child.settle(claim)
    assert ids(child.claim()) == ["b", "c", "d"]
    broker.close()


def test_a_service_that_no_sentinel_knows_is_named(sentinels: list[Server]) -> None:
    url = url_of(sentinels).replace("/main/", "/other/")
    with pytest.raises(BrokerUnavailable, match=r"cannot be reached.*other.*NOT queued"):
        RedisBroker(Policy(broker=url)).enqueue_many([make_message()])


def test_sentinels_that_are_all_away_fail_in_time(sentinels: list[Server]) -> None:
    url = url_of(sentinels)
    for server in sentinels:
        server.stop()
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="NOT queued"):
        RedisBroker(Policy(broker=url)).enqueue_many([make_message()])
    assert time.monotonic() - started < 3
    assert redis.__version__
