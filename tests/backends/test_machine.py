"""Any sequence of calls gets from every broker what the model says."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from django_jobs.testing.machine import BrokerMachine
from tests import profiles
from tests.backends.test_database import DatabaseHarness
from tests.backends.test_memory import MemoryHarness


def test_the_memory_broker_does_as_the_model_says() -> None:
    run_state_machine_as_test(BrokerMachine.over(MemoryHarness), settings=profiles.machine(examples=400, steps=40))


@pytest.mark.timeout(600)
def test_the_database_broker_does_as_the_model_says(database_alias: str) -> None:
    run_state_machine_as_test(
        BrokerMachine.over(lambda: DatabaseHarness(database_alias)),
        settings=profiles.machine(examples=60, steps=40),
    )
