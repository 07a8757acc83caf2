"""One client of one Redis: runs scripts and commands, and names its errors as ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis import exceptions

from django_jobs.backends.redis.scripts import Script
from django_jobs.backends.redis.source import ANSWER_SECONDS, find_source
from django_jobs.exceptions import BrokerFull, BrokerUnavailable

NOT_DONE: Final = "Nothing was done: a job of this call was NOT queued."
IN_DOUBT: Final = "Whether it was done is not known; the call can be repeated."
FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
REFUSALS: Final = {
    "BUSY": "is busy with a script of somebody else. Wait, or end it with SCRIPT KILL",
    "CLUSTERDOWN": "is a cluster without a master for this slot",
    "LOADING": "is loading its data",
    "MASTERDOWN": "is a replica that has lost its master",
    "MISCONF": "takes no writes, since it cannot save its data. Look at its log and its disk",
    "NOAUTH": "asks for a password. Put it into the URL",
    "NOPERM": "does not let this user do that. It needs scripts, and all keys under NAMESPACE",
    "NOREPLICAS": "has too few replicas to take writes (min-replicas-to-write)",
    "READONLY": "is a read-only replica. Use the primary, or Sentinel",
    "TRYAGAIN": "is moving this slot to another node",
    "WRONGPASS": "refuses this user and password",
    "WRONGTYPE": "holds something else under one of our keys. Choose another NAMESPACE",
}
"""What a server says at the beginning of its refusal, and what it means."""


class Client:
    """Opens its driver's client at the first use; safe to use from several threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = find_source(name)
        self._redis: Any = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """The server, without a password."""
        return self.source.place

    @property
    def redis(self) -> Any:
        """The driver's client, for single commands; use it inside `errors`."""
        if self._redis is None:
            with self._lock:
                if self._redis is None:  # another thread may have been quicker
                    self._redis = self.source.make()
        return self._redis

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script by its digest; send its text where the server does not know it (any more).

        Raises:
            BrokerUnavailable: it says whether it is known that nothing was done.
            BrokerFull: the server has no memory left; nothing was done.
        """
        with self.errors(script.verb):
            try:
                return self.redis.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except exceptions.NoScriptError:
                return self.redis.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    @contextmanager
    def errors(self, verb: str) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except FAILURES as error:
            if "command not allowed when used memory" in str(error):  # its class differs between servers
                raise BrokerFull(
                    f"Redis at {self.place} has no memory left (maxmemory) for {verb!r}. {NOT_DONE} Raise maxmemory "
                    "or let workers drain the queues."
                ) from error
            text, done = _explain(error)
            if isinstance(error, exceptions.ReadOnlyError):
                self.close()  # the name may stand for another server by now
            raise BrokerUnavailable(f"Redis at {self.place} {text} ({verb!r}). {done}") from error

    def close(self) -> None:
        """Disconnect; the next use connects again."""
        with self._lock:
            if self._redis is not None:
                self._redis.close()
                if not self.source.cluster:
                    self._redis.connection_pool.disconnect()
                self._redis = None


def _explain(error: Exception) -> tuple[str, str]:
    """Return what has happened, and what is known of the command."""
    said = str(error)
    code = said.split(" ", 1)[0].strip(":-")
    if isinstance(error, exceptions.BusyLoadingError):
        code = "LOADING"
    elif isinstance(error, exceptions.ReadOnlyError) or "previous master is now a slave" in said:
        code = "READONLY"
    elif "unauthenticated" in said:  # what a server says to a long command before the password
        code = "NOAUTH"
    elif isinstance(error, exceptions.AuthenticationError):
        code = "WRONGPASS" if "WRONGPASS" in said or "invalid" in said.lower() else "NOAUTH"
    elif isinstance(error, exceptions.NoPermissionError):
        code = "NOPERM"
    elif isinstance(error, exceptions.ClusterDownError):
        code = "CLUSTERDOWN"
    elif isinstance(error, exceptions.TryAgainError) or "TTL exhausted" in said:
        code = "TRYAGAIN"
    if code in REFUSALS:
        return f"{REFUSALS[code]}: {said}", NOT_DONE
    if isinstance(error, exceptions.TimeoutError) and "connecting" not in said:
        return f"did not answer within {ANSWER_SECONDS:g} s: {said}", IN_DOUBT
    if isinstance(error, exceptions.ConnectionError | exceptions.RedisClusterException | OSError):
        unconnected = "connecting" in said or "Error -" in said or isinstance(error, exceptions.MaxConnectionsError)
        missing = "No master found" in said or "Redis Cluster cannot be connected" in said
        return f"cannot be reached: {said}", NOT_DONE if unconnected or missing else IN_DOUBT
    return f"refused it: {type(error).__name__}: {said}", IN_DOUBT
