"""The fixtures that every part of the broker's contract uses."""

from __future__ import annotations

import pytest

from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child
from django_jobs.testing.harness import StoreHarness


class StoreContract:
    """Base of the suites: a subclass overrides `store`."""

    @pytest.fixture
    def store(self) -> StoreHarness:
        raise NotImplementedError(f"{type(self).__name__} has to override the fixture `store` with a StoreHarness.")


class BrokerCases(StoreContract):
    """Base of the parts of the broker's contract."""

    @pytest.fixture
    def broker(self, store: StoreHarness) -> Broker:
        return store.broker()

    @pytest.fixture
    def results(self, store: StoreHarness) -> ResultStore:
        if not store.shares_results:
            pytest.skip(f"{type(store).__name__}: results are kept apart from the broker")
        return store.results()

    @pytest.fixture
    def child(self, broker: Broker) -> Child:
        return Child(broker)

    @pytest.fixture
    def other(self, store: StoreHarness) -> Child:
        """A child of another session, in another process."""
        return Child(store.broker(), "session-2")
