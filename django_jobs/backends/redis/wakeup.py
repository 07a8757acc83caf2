"""How an idle worker learns of new jobs, by a blocking pop of a one-element list, and a caller of a job's end."""

from __future__ import annotations

import select
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.scripts import AWAIT
from django_jobs.backends.redis.source import ANSWER_SECONDS

HINT_MS: Final = 60_000
"""A hint that nobody has taken by then is worth nothing."""


class Wakeup:
    """Waits for a hint that there may be work. The list holds no job: what is popped and lost costs a poll."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._connection: Any = None
        self._client_id = 0

    def wait(
        self,
        queues: Collection[str] | None,
        timeout_seconds: float,
        wake_fd: int | None,
        then: Sequence[Any] | None = None,
    ) -> Any:
        """Return at a hint, when `wake_fd` is readable, or after the timeout.

        With the command `then` the server runs that one at once, whichever it was: it stands behind the blocking one
        on the same connection. Returns its answer, or None where it was refused.
        """
        if timeout_seconds <= 0:
            return None
        names = ["*"] if queues is None else sorted(queues)
        keys = [f"{self._family.prefix}wake:{name}" for name in names]
        try:
            with self._family.client.errors("wait"):
                return self._block(keys, timeout_seconds, wake_fd, then)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; the next wait connects again."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _block(self, keys: list[str], timeout_seconds: float, wake_fd: int | None, then: Sequence[Any] | None) -> Any:
        connection = self._connect()
        commands = [("BLPOP", *keys, f"{timeout_seconds:.3f}"), *([then] if then else [])]
        connection.send_packed_command(connection.pack_commands(commands))
        fds = [connection._sock] if wake_fd is None else [connection._sock, wake_fd]
        readable, _, _ = select.select(fds, [], [], timeout_seconds + ANSWER_SECONDS)
        hinted = connection._sock in readable
        if not hinted:
            self._node().execute_command("CLIENT", "UNBLOCK", self._client_id)
        popped = connection.read_response()
        if then:
            return _answer_or_none(connection)
        if not hinted and popped is not None:  # what was popped in between wakes nobody else: put it back
            self._family.client.redis.execute_command("RPUSH", *popped)
            self._family.client.redis.execute_command("PEXPIRE", popped[0], HINT_MS)
        return None

    def _node(self) -> Any:
        """Return the client of the server that holds the family; of a cluster, of the right node."""
        client = self._family.client
        if not client.source.cluster:
            return client.redis
        node = client.redis.get_node_from_key(self._family.keys[0])
        if node.redis_connection is None:
            node.redis_connection = client.redis.get_redis_connection(node)
        return node.redis_connection

    def _connect(self) -> Any:
        if self._connection is None:
            connection = self._node().connection_pool.make_connection()
            connection.connect()
            connection.send_command("CLIENT", "ID")
            self._client_id = connection.read_response()
            self._connection = connection
        return self._connection


def _answer_or_none(connection: Any) -> Any:
    """Read an answer; a refusal (an unknown script, a slot that has moved) is met again where it is understood."""
    try:
        return connection.read_response()
    except ResponseError:
        return None


def wait_for_end(family: Family, job_ids: Collection[str], timeout_seconds: float) -> None:
    """Return when one of `job_ids` may have ended, or after the timeout: the settle step publishes what is awaited."""
    if timeout_seconds <= 0 or not job_ids:
        return
    deadline = time.monotonic() + timeout_seconds
    client = family.client
    with client.errors("wait for a result"), client.redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(*[f"{family.prefix}end:{job_id}" for job_id in job_ids])
        if family.run(AWAIT, [round(timeout_seconds * 1_000_000), *job_ids]):
            return
        while (left := deadline - time.monotonic()) > 0:
            if channel.get_message(timeout=left) is not None:
                return
