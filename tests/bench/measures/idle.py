"""What a worker costs that has nothing to do: CPU, memory, and how often it asks its store."""

from __future__ import annotations

import time

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

WARM_UP_JOBS = 1000
REST_SECONDS = 3.0
IDLE_SECONDS = 20.0


class Idle(Measure):
    name = "idle"
    title = "An idle worker"
    with_peers = True
    with_floor = False

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        with new_scene(store, side, options.children) as scene, scene.server() as server, scene.working() as group:
            meter = Meter(ticks=scene.ticks, group=group, server=server)
            scene.warm_up(meter, WARM_UP_JOBS)
            time.sleep(REST_SECONDS)
            first = meter.find_and_read()
            steps = server.steps()
            time.sleep(IDLE_SECONDS)
            window = between(first, meter.find_and_read())
            return {
                "worker_percent": window.worker_percent,
                "server_percent": window.server_percent,
                "steps_per_second": (server.steps() - steps) / window.seconds,
                "memory_mib": group.memory_bytes() / 2**20,
                "processes": len(group),
                "foreign_percent": window.foreign_percent,
            }

    def table(self, runs: Results) -> Table:
        heads = (
            "store", "who", "worker CPU %", "server CPU %", "transactions/s", "memory MiB (PSS)", "processes",
            "foreign CPU %",
        )  # fmt: skip
        rows = [
            [
                store.title,
                side,
                spread(runs.of("worker_percent", store, side)),
                number(median(runs.of("server_percent", store, side))),
                number(median(runs.of("steps_per_second", store, side))),
                spread(runs.of("memory_mib", store, side)),
                f"{median(runs.of('processes', store, side)):.0f}",
                percent(runs.of("foreign_percent", store, side)),
            ]
            for store, side in runs.rows()
        ]
        return Table(heads=heads, rows=rows, left=2)
