"""How much of a server's memory a waiting job takes."""

from __future__ import annotations

from collections.abc import Callable

from django_jobs.core.message import Message, encode_body, new_id
from tests.backends.redis.harness import RedisHarness
from tests.backends.redis.server import Server

JOBS = 20_000
ARGUMENT_BYTES = 170
MOST_BYTES = 700


def test_a_waiting_job_takes_no_more_than_700_bytes(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    broker = RedisHarness(server.url).broker()
    body = encode_body(("x" * (ARGUMENT_BYTES - 4),), {})

    def fill() -> int:
        for _ in range(JOBS // 1000):
            broker.enqueue_many(
                [Message(id=new_id(), task="shop.jobs.send", queue="q", body=body) for _ in range(1000)]
            )
        with server.client() as client:
            return int(client.info("memory")["used_memory"])

    before = fill()  # so that tables have grown as tables do: the second half pays for its share
    taken = fill() - before
    assert taken < MOST_BYTES * JOBS
    broker.close()
