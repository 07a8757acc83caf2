"""The stores that can be measured, by the name that `--store` takes."""

from __future__ import annotations

from typing import Final

from tests.bench.stores.base import Store
from tests.bench.stores.mysql import MysqlStore
from tests.bench.stores.postgres import PostgresStore
from tests.bench.stores.redis import RedisStore
from tests.bench.stores.sqlite import SqliteStore

STORES: Final[dict[str, Store]] = {
    store.kind: store for store in (PostgresStore(), SqliteStore(), MysqlStore(), RedisStore())
}
