"""Servers of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.redis.server import Server


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that makes a server, not started; all of them end with the test."""
    made: list[Server] = []

    def make(**options: Any) -> Server:
        made.append(Server(tmp_path, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A started server without persistence."""
    return make_server().start()
