"""The one switchboard: which broker and result store the project uses, opened by dotted path, and its Policy."""

from __future__ import annotations

import threading
from typing import Any, Final, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from django_jobs.conf import REDIS_SCHEMES, SETTING, InvalidSettings, load_policy
from django_jobs.core.policy import Policy
from django_jobs.ports.broker import Broker
from django_jobs.ports.lock import Lock
from django_jobs.ports.outbox import Outbox
from django_jobs.ports.result_store import ResultStore

BROKERS: Final = {
    "database": "django_jobs.backends.database.DatabaseBroker",
    "redis": "django_jobs.backends.redis.RedisBroker",
}
RESULT_STORES: Final = {
    "database": "django_jobs.backends.database.DatabaseResultStore",
    "redis": "django_jobs.backends.redis.RedisResultStore",
}
OUTBOX: Final = "django_jobs.backends.database.DatabaseOutbox"
RELAYED_RESULTS: Final = "django_jobs.backends.relayed.RelayedResultStore"
LOCKS: Final = {
    "database": "django_jobs.backends.database.DatabaseLock",
    "redis": "django_jobs.backends.redis.RedisLock",
}


class Connections:
    """Opens each store once per process, at first use; forgets all of them when a setting changes."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._policy: Policy | None = None
        self._broker: Broker | None = None
        self._results: ResultStore | None = None

    @property
    def policy(self) -> Policy:
        """The settings as one frozen value."""
        policy = self._policy
        if policy is None:
            with self._lock:
                policy = self._policy = self._policy or load_policy()
        return policy

    @property
    def broker(self) -> Broker:
        """The broker that producers use; in the caller's transaction where it can."""
        broker = self._broker
        if broker is None:
            with self._lock:
                broker = self._broker = self._broker or self._make_broker()
        return broker

    @property
    def results(self) -> ResultStore:
        """The result store; where RESULT_STORE is None, the one in which the broker keeps failures."""
        results = self._results
        if results is None:
            with self._lock:
                results = self._results = self._results or self._make_results()
        return results

    @property
    def outbox(self) -> Outbox:
        """Where messages wait for a broker that is not the database; on the DATABASE alias."""
        return cast(Outbox, import_string(OUTBOX)(self.policy))

    def lock(self) -> Lock:
        """Return the lock for maintenance, beside the result store."""
        return cast(Lock, self._open(self.policy.result_store or self.policy.broker, LOCKS, "RESULT_STORE"))

    def use(self, broker: Broker, results: ResultStore) -> None:
        """Take these stores until `reset` (for tests and eager runs)."""
        with self._lock:
            self._broker, self._results = broker, results

    def reset(self) -> None:
        """Forget settings and stores; the next use reads and opens them again."""
        with self._lock:
            self._policy = self._broker = self._results = None

    def _make_broker(self) -> Broker:
        return cast(Broker, self._open(self.policy.broker, BROKERS, "BROKER"))

    def _make_results(self) -> ResultStore:
        # Where RESULT_STORE is None the broker keeps what did not succeed, beside the jobs.
        name = self.policy.result_store or self.policy.broker
        results = cast(ResultStore, self._open(name, RESULT_STORES, "RESULT_STORE"))
        if self.broker.holds_results:
            return results
        return cast(ResultStore, import_string(RELAYED_RESULTS)(results, self.broker))

    def _open(self, name: str, known: dict[str, str], key: str) -> Any:
        try:
            return _load(name, known, key)(self.policy)
        except ImproperlyConfigured as error:
            raise InvalidSettings(f"{SETTING}[{key!r}]: {error}") from error


def _load(name: str, known: dict[str, str], key: str) -> Any:
    path = known["redis"] if name.startswith(REDIS_SCHEMES) else known.get(name, name)
    try:
        return import_string(path)
    except ImportError as error:
        raise InvalidSettings(
            f"{SETTING}[{key!r}] = {name!r} cannot be loaded: {error}. It is one of "
            f"{sorted(known)}, a Redis URL or the dotted path of a class."
        ) from error


connections = Connections()


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting in {SETTING, "DATABASES", "USE_TZ", "TIME_ZONE", "LANGUAGE_CODE", "DEBUG", "CACHES"}:
        connections.reset()


setting_changed.connect(_on_setting_changed, dispatch_uid="django_jobs.connections")
