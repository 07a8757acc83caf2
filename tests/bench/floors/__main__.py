"""One process of a raw loop: `python -m tests.bench.floors KIND URL prepare | work BATCH | enqueue VERB ...`."""

from __future__ import annotations

import importlib
import sys
from typing import Final

from tests.bench import enqueuing
from tests.bench.floors.base import Floor, FloorEnqueuer, work

FLOORS: Final = {
    "postgres": "tests.bench.floors.postgres.PostgresFloor",
    "sqlite": "tests.bench.floors.sqlite.SqliteFloor",
    "mysql": "tests.bench.floors.mysql.MysqlFloor",
    "redis": "tests.bench.floors.redis.RedisFloor",
}


def connect(kind: str, url: str) -> Floor:
    """Return a connection of this kind; the drivers of the others are not imported, which would cost memory."""
    module, _, name = FLOORS[kind].rpartition(".")
    made = getattr(importlib.import_module(module), name)(url)
    assert isinstance(made, Floor)
    return made


def main() -> None:
    kind, url, verb, *arguments = sys.argv[1:]
    floor = connect(kind, url)
    if verb == "prepare":
        floor.prepare()
    elif verb == "work":
        work(floor, int(arguments[0]))
    elif verb == "enqueue":
        enqueuing.main(FloorEnqueuer(floor), arguments)
    else:
        raise SystemExit(f"{verb!r} is not one of prepare, work, enqueue.")


if __name__ == "__main__":
    main()
