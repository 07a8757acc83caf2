"""How long a job waits for an idle worker: from just before the call that enqueues it to the start of its function."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

JOBS = 500
GAP_SECONDS = 0.02
WARM_UP_JOBS = 1000
WARM_UP_STAMPS = 20


class Latency(Measure):
    name = "latency"
    title = "From enqueue to start on an idle worker"
    with_peers = True
    reps = 3

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        with new_scene(store, side, options.children) as scene, scene.server() as server, scene.working() as group:
            meter = Meter(ticks=scene.ticks, group=group, server=server)
            scene.warm_up(meter, WARM_UP_JOBS)
            scene.do("stamp", WARM_UP_STAMPS, GAP_SECONDS)
            scene.delays_ms(group, WARM_UP_STAMPS)
            scene.ticks.forget_delays()
            with scene.helper("stamp", JOBS, GAP_SECONDS) as helper:
                meter = Meter(ticks=scene.ticks, group=group, server=server, helpers=helper.cpu_seconds)
                first = meter.find_and_read()
                helper.begin()
                helper.answer()
                delays = scene.delays_ms(group, JOBS)
                window = between(first, meter.find_and_read())
        return {
            "p50_ms": delays[len(delays) // 2],
            "p99_ms": delays[len(delays) * 99 // 100],
            "worst_ms": delays[-1],
            "worker_percent": window.worker_percent,
            "foreign_percent": window.foreign_percent,
        }

    def table(self, runs: Results) -> Table:
        heads = ("store", "who", "p50 ms", "p99 ms", "worst ms", "worker CPU %", "foreign CPU %")
        rows = [
            [
                store.title,
                side,
                spread(runs.of("p50_ms", store, side)),
                spread(runs.of("p99_ms", store, side)),
                number(max(runs.of("worst_ms", store, side))),
                number(median(runs.of("worker_percent", store, side))),
                percent(runs.of("foreign_percent", store, side)),
            ]
            for store, side in runs.rows()
        ]
        return Table(heads=heads, rows=rows, left=2)
