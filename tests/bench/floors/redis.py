"""The raw loop of Redis: two Lua calls per batch; a claimed job stays in the list of its process; BLMOVE wakes it.

The results have a time to live, as anybody's must.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from typing import Final

from tests.bench.floors.base import Floor
from tests.bench.stores.redis import connect

CLAIM: Final = """
local taken = redis.call('LPOP', KEYS[1], ARGV[1])
if not taken then return {} end
redis.call('RPUSH', KEYS[2], unpack(taken))
return taken
"""
FINISH: Final = """
local count = #ARGV / 2
for i = 1, count do
  redis.call('SET', 'floor:result:' .. ARGV[2 * i - 1], ARGV[2 * i], 'EX', 3600)
end
redis.call('LTRIM', KEYS[1], count, -1)
redis.call('INCRBY', KEYS[2], count)
"""
INSERT: Final = """
local last = redis.call('INCRBY', KEYS[2], #ARGV)
for i = 1, #ARGV do
  redis.call('RPUSH', KEYS[1], (last - #ARGV + i) .. ' ' .. ARGV[i])
end
"""
JOBS: Final = "floor:jobs"


class RedisFloor(Floor):
    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._mine = f"floor:held:{os.getpid()}"
        self._claim = self._redis.register_script(CLAIM)
        self._finish = self._redis.register_script(FINISH)
        self._insert = self._redis.register_script(INSERT)
        self._woken: list[str] = []

    def prepare(self) -> None:
        """Keys need no tables."""

    def insert(self, bodies: Sequence[str]) -> None:
        self._insert(keys=[JOBS, "floor:last"], args=bodies)

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        taken, self._woken = self._woken, []
        taken = taken or self._claim(keys=[JOBS, self._mine], args=[limit])
        return [(int(job_id), text) for job_id, _, text in (line.partition(" ") for line in taken)]

    def finish(self, ended: Sequence[tuple[int, str]]) -> None:
        self._finish(keys=[self._mine, "floor:stored"], args=list(chain.from_iterable(ended)))

    def wait(self) -> None:
        line = self._redis.blmove(JOBS, self._mine, 1, "LEFT", "RIGHT")
        self._woken = [line] if line else []

    def stored(self) -> int:
        return int(self._redis.get("floor:stored") or 0)
