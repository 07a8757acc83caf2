"""Redis as the bench sees it: a server of each run's own, with results kept in it, and SQLite for the tables."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import redis

from tests.bench.errors import BenchError
from tests.bench.stores.base import Place, Server, Store, VisibleServer
from tests.ports import free_port

SETTINGS = ("appendonly", "appendfsync", "save")
START_SECONDS = 10.0


def connect(url: str) -> Any:
    return redis.Redis.from_url(url, decode_responses=True)


class RedisServer(VisibleServer):
    """All of one redis-server, which serves this run only."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._client = connect(url)

    def steps(self) -> float:
        return float(self._client.info("stats")["total_commands_processed"])

    def close(self) -> None:
        self._client.close()


class RedisStore(Store):
    kind = "redis"
    title = "Redis"
    unmeasured = ("pinned",)

    def missing(self) -> str:
        return "" if which("redis-server") else "Redis: the program redis-server is not installed"

    @contextmanager
    def new_place(self, directory: Path) -> Iterator[Place]:
        """Start a server without persistence on a free port, and end it."""
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (directory / "redis.log").open("ab") as log:
            process = subprocess.Popen(
                ["redis-server", *options, "--dir", str(directory)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        url = f"redis://127.0.0.1:{port}/0"
        try:
            _wait_for(url)
            jobs = json.dumps({"BROKER": url, "RESULT_STORE": url})
            database = f"sqlite:///{directory / 'bench.sqlite3'}"
            yield Place(url=url, environment={"DATABASE_URL": database, "BENCH_JOBS": jobs})
        finally:
            process.kill()
            process.wait()

    def describe(self, place: Place) -> str:
        with connect(place.url) as client:
            values = (f"{name} {client.config_get(name)[name] or 'never'}" for name in SETTINGS)
            return f"Redis {client.info('server')['redis_version']} ({', '.join(values)})"

    def calm(self, place: Place) -> None:
        """Nothing is written out: the server keeps all in memory."""

    def new_server(self, place: Place) -> Server:
        return RedisServer(place.url)

    def pinned(self, place: Place) -> AbstractContextManager[None]:
        raise BenchError("Redis has no snapshots that could be held.")


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    with connect(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.exceptions.ConnectionError as error:
                if time.monotonic() > deadline:
                    raise BenchError(f"redis-server did not answer on {url} within {START_SECONDS:g} s.") from error
                time.sleep(0.02)
