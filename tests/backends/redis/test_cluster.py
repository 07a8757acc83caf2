"""Cluster with real processes: a namespace is one slot; while it moves nothing is lost, doubled or half seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from redis.crc import key_slot

from django_jobs.backends.redis import RedisBroker, RedisResultStore
from django_jobs.core.policy import Policy
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.testing.child import Child, ids, make_message
from django_jobs.testing.contracts import BrokerContract, LockContract, ResultStoreContract
from tests.backends.redis.harness import RedisHarness
from tests.backends.redis.server import Server, select_a_moment

SLOTS = 16_384
READY_SECONDS = 60.0


class Cluster:
    """Three nodes without replicas."""

    def __init__(self, nodes: list[Server]) -> None:
        self.nodes = nodes
        share = SLOTS // len(nodes) + 1
        for number, node in enumerate(nodes):
            last = min(SLOTS, (number + 1) * share) - 1
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            for other in nodes[:number]:
                node.client().execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        deadline = time.monotonic() + READY_SECONDS
        while not all(self._is_ready(node) for node in nodes):
            assert time.monotonic() < deadline, "the cluster did not form"
            select_a_moment()

    def _is_ready(self, node: Server) -> bool:
        said: bytes = node.client().execute_command("CLUSTER", "INFO")
        info = dict(line.split(":", 1) for line in said.decode().split())
        return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", str(len(self.nodes)))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def holder(self, slot: int) -> Server:
        """Return the node that owns a slot."""
        for node in self.nodes:
            for first, last, (_, port, *_), *_ in _slots(node):
                if first <= slot <= last:
                    return next(other for other in self.nodes if other.port == port)
        raise AssertionError(f"nobody holds slot {slot}")

    def move(self, slot: int, step: Callable[[], None]) -> None:
        """Move a slot to another node, key by key; call `step` after each."""
        source = self.holder(slot)
        target = next(node for node in self.nodes if node is not source)
        names = {node.port: node.client().execute_command("CLUSTER", "MYID") for node in self.nodes}
        target.client().execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
        source.client().execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
        while keys := source.client().execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.client().execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            step()
        for node in (target, source, *self.nodes):
            node.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])


def _slots(node: Server) -> list[Any]:
    connection = node.client().connection_pool.get_connection()
    connection.send_command("CLUSTER", "SLOTS")
    return list(connection.read_response())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    options: dict[str, Any] = {"cluster_enabled": "yes", "cluster_node_timeout": "2000"}
    nodes = [Server(directory, **options) for _ in range(3)]
    try:
        yield Cluster([node.start() for node in nodes])
    finally:
        for node in nodes:
            node.stop()


class ClusterHarness(RedisHarness):
    """One namespace of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        super().__init__(cluster.url)

    def key_names(self) -> list[str]:
        prefix = f"{{{self.policy.namespace}}}:"
        found = [key for node in self.cluster.nodes for key in node.client().scan_iter(f"{prefix}*", 1000)]
        return [key.decode().removeprefix(prefix) for key in found]

    def close(self) -> None:
        RedisBroker(self.policy).shift_clock(-self.shifted_seconds)
        for broker in self.opened:
            broker.close()


class ClusterCase:
    @pytest.fixture
    def store(self, cluster: Cluster) -> Iterator[ClusterHarness]:
        harness = ClusterHarness(cluster)
        yield harness
        harness.close()


class TestClusterBroker(ClusterCase, BrokerContract):
    pass


class TestClusterResultStore(ClusterCase, ResultStoreContract):
    pass


class TestClusterLock(ClusterCase, LockContract):
    pass


def patiently(call: Callable[[], Any]) -> Any:
    """Repeat a call until the broker answers, as a worker does."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return call()
        except BrokerUnavailable:
            assert time.monotonic() < deadline
            select_a_moment()


def test_a_slot_that_moves_under_load_loses_and_doubles_nothing(cluster: Cluster) -> None:
    policy = Policy(broker=cluster.url, result_store=cluster.url, namespace="moving")
    wanted = [f"job-{number:03}" for number in range(300)]
    broker = RedisBroker(policy)
    broker.enqueue_many([make_message(job_id, id_given=True) for job_id in wanted[:100]])
    moved = threading.Event()
    ran: list[str] = []

    def produce() -> None:
        own = RedisBroker(policy)
        for job_id in wanted[100:]:
            patiently(partial(own.enqueue_many, [make_message(job_id, id_given=True)]))

    def work(number: int) -> None:
        child = patiently(lambda: Child(RedisBroker(policy), incarnation=number))
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and len(ran) < len(wanted):
            want = child.want(limit=5)
            claims = patiently(partial(child.ask, want)).claims
            ran.extend(ids(claims))
            patiently(partial(child.settle_all, claims))
            if moved.is_set() and not claims and len(ran) >= len(wanted):
                return

    threads = [threading.Thread(target=produce), *(threading.Thread(target=work, args=(n,)) for n in range(2))]
    for thread in threads:
        thread.start()
    cluster.move(key_slot(b"{moving}:jobs"), select_a_moment)
    moved.set()
    for thread in threads:
        thread.join(READY_SECONDS)
        assert not thread.is_alive()
    assert sorted(ran) == wanted
    stored = RedisResultStore(policy).load_many(wanted)
    assert set(stored) == set(wanted)
    assert broker.stats() == []


def test_half_of_a_family_is_never_taken_for_the_whole(cluster: Cluster) -> None:
    policy = Policy(broker=cluster.url, result_store=cluster.url, namespace="half")
    broker = RedisBroker(policy)
    broker.enqueue_many([make_message("job", id_given=True)])
    answers: list[str] = []

    def look() -> None:
        try:
            answers.append(str(broker.enqueue_many([make_message("job", id_given=True)])))
        except BrokerUnavailable as error:
            answers.append("moving" if "moving this slot" in str(error) and "NOT queued" in str(error) else str(error))

    cluster.move(key_slot(b"{half}:jobs"), look)
    look()
    assert answers[-1] == "[False]", "it is live, wherever it is"
    assert set(answers) == {"moving", "[False]"}


def test_a_cluster_that_is_away_is_named(cluster: Cluster) -> None:
    url = "redis+cluster://:secret@127.0.0.1:1"
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1.*NOT queued") as caught:
        RedisBroker(Policy(broker=url)).enqueue_many([make_message()])
    assert "secret" not in str(caught.value)
