"""Any sequence of calls gets from the Redis broker what the model says."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from django_jobs.testing.machine import BrokerMachine
from tests import profiles
from tests.backends.redis.harness import RedisHarness
from tests.services import require


@pytest.mark.timeout(600)
def test_the_redis_broker_does_as_the_model_says() -> None:
    url = require("redis").url
    run_state_machine_as_test(
        BrokerMachine.over(lambda: RedisHarness(url)), settings=profiles.machine(examples=60, steps=40)
    )
