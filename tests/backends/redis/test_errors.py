"""A server that cannot be used: a named error, quickly, with the host, without the password, saying what was done."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from django_jobs.backends.redis import RedisBroker
from django_jobs.core.policy import Policy
from django_jobs.exceptions import BrokerFull, BrokerUnavailable
from django_jobs.testing.child import Child, make_message
from tests.backends.redis.server import Server
from tests.ports import free_port

PRODUCER_SECONDS = 3.0


def open_broker(url: str, **fields: Any) -> RedisBroker:
    return RedisBroker(Policy(broker=url, result_store=url, **fields))


def refusal(broker: RedisBroker) -> str:
    """Enqueue one job, which must fail in time; return the text."""
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        broker.enqueue_many([make_message()])
    assert time.monotonic() - started < PRODUCER_SECONDS
    return str(caught.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    port = free_port()
    text = refusal(open_broker(f"redis://user:secret@127.0.0.1:{port}/0"))
    assert f"127.0.0.1:{port}" in text
    assert "cannot be reached" in text
    assert "NOT queued" in text
    assert "secret" not in text


def test_a_server_that_hangs_fails_in_time_and_leaves_it_open(server: Server) -> None:
    broker = open_broker(server.url)
    broker.enqueue_many([make_message()])
    server.send(signal.SIGSTOP)
    text = refusal(broker)
    assert "did not answer" in text
    assert "not known" in text
    fresh = refusal(open_broker(server.url))
    assert "did not answer" in fresh or "cannot be reached" in fresh


def test_a_wrong_password_and_none_are_told_apart(make_server: Callable[..., Server]) -> None:
    server = make_server(requirepass="right").start()
    assert "asks for a password" in refusal(open_broker(server.url))
    text = refusal(open_broker(f"redis://:wrong@127.0.0.1:{server.port}/0"))
    assert "refuses this user and password" in text
    assert "wrong" not in text.replace("wrong username", "").replace("WRONGPASS", "")
    assert open_broker(f"redis://:right@127.0.0.1:{server.port}/0").enqueue_many([make_message()]) == [True]


def test_a_replica_is_told(server: Server, make_server: Callable[..., Server]) -> None:
    replica = make_server(replicaof=f"127.0.0.1 {server.port}").start()
    text = refusal(open_broker(replica.url))
    assert "read-only replica" in text or "loading" in text or "lost its master" in text


def test_a_script_of_somebody_else_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server(busy_reply_threshold="50").start()
    broker = open_broker(server.url)
    broker.enqueue_many([make_message()])
    blocker = threading.Thread(target=_block, args=(server,))
    blocker.start()
    try:
        deadline = time.monotonic() + 30
        text = ""
        while "busy with a script" not in text and time.monotonic() < deadline:
            try:
                broker.enqueue_many([make_message()])
            except BrokerUnavailable as error:
                text = str(error)
        assert "busy with a script" in text
    finally:
        server.client().script_kill()
        blocker.join(30)
    assert broker.enqueue_many([make_message()]) == [True]


def _block(server: Server) -> None:
    with server.client(socket_timeout=60) as client, pytest.raises(Exception, match=r"killed|Script"):
        client.eval("while true do end", 0)


def test_what_is_no_redis_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        speaker = threading.Thread(target=_speak, args=(listener,))
        speaker.start()
        text = refusal(open_broker(f"redis://127.0.0.1:{listener.getsockname()[1]}/0"))
        listener.shutdown(socket.SHUT_RDWR)
        speaker.join(30)
    assert "refused it" in text or "cannot be reached" in text


def _speak(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_full_server_takes_no_jobs_but_settles(make_server: Callable[..., Server]) -> None:
    server = make_server(maxmemory="6mb").start()
    broker = open_broker(server.url)
    child = Child(broker)
    taken_in = 0
    with pytest.raises(BrokerFull, match=r"maxmemory.*NOT queued"):
        while True:
            taken_in += sum(broker.enqueue_many([make_message(body='{"v":1,"args":["' + "x" * 5000 + '"]}')]))
    assert taken_in > 100
    ended = 0
    while claims := child.claim(limit=10):
        assert child.settle_all(claims, keep=False) == ()
        ended += len(claims)
    assert ended == taken_in
    assert broker.enqueue_many([make_message()]) == [True]


def test_a_session_is_renewed_where_memory_is_full(make_server: Callable[..., Server]) -> None:
    from django_jobs.testing.child import make_session

    server = make_server(maxmemory="6mb").start()
    broker = open_broker(server.url)
    child = Child(broker)
    with pytest.raises(BrokerFull):
        while True:
            broker.enqueue_many([make_message(body='{"v":1,"args":["' + "x" * 5000 + '"]}')])
    assert broker.renew(make_session()).alive is True
    assert len(child.claim(limit=3)) == 3


def test_forgotten_scripts_are_sent_again(server: Server) -> None:
    broker = open_broker(server.url)
    child = Child(broker)
    for _ in range(3):
        server.client().script_flush()
        assert broker.enqueue_many([make_message()]) == [True]
        server.client().script_flush()
        assert child.settle(child.claim_one())


def test_a_broker_goes_on_after_a_restart(make_server: Callable[..., Server]) -> None:
    # By everysec an answered write may wait up to 2 s for an fsync under way, and is lost with the process.
    server = make_server(appendonly="yes", appendfsync="always").start()
    broker = open_broker(server.url)
    child = Child(broker)
    broker.enqueue_many([make_message("a"), make_message("b")])
    claim = child.claim_one()
    server.stop()
    assert "cannot be reached" in refusal(broker)
    server.start()
    assert child.settle(claim), "what was answered before a kill -9 is in the append-only file"
    assert [claim.message.id for claim in child.claim()] == ["b"]
