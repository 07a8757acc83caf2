"""How fast one process enqueues, one by one and in bulk, with no worker at work, beside raw inserts."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

ONE_BY_ONE, IN_BULK = "one", "many"


class Enqueue(Measure):
    """One by one a quarter of `--jobs`, each in a transaction of its own; in bulk all of them, 1,000 in a call."""

    name = "enqueue"
    title = "Enqueueing"
    with_peers = True
    reps = 3
    variants = (ONE_BY_ONE, IN_BULK)

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        jobs = options.jobs // 4 if variant == ONE_BY_ONE else options.jobs
        with (
            new_scene(store, side, options.children) as scene,
            scene.server() as server,
            scene.helper(variant, jobs) as helper,
        ):
            meter = Meter(ticks=scene.ticks, group=scene.nobody(), server=server, helpers=helper.cpu_seconds)
            first = meter.find_and_read()
            helper.begin()
            answer = helper.answer()
            window = between(first, meter.find_and_read())
        return {
            "rate": jobs / answer["seconds"],
            "producer_us": 1e6 * answer["cpu_seconds"] / jobs,
            "server_us": 1e6 * window.server_seconds / jobs,
            "foreign_percent": window.foreign_percent,
        }

    def table(self, runs: Results) -> Table:
        heads = (
            "store", "who", "one by one, jobs/s", "process CPU us/job", "server CPU us/job", "in bulk, jobs/s",
            "process CPU us/job", "server CPU us/job", "foreign CPU %",
        )  # fmt: skip
        rows = []
        for store, side in runs.rows():
            cells = [store.title, side]
            for variant in self.variants:
                cells += [
                    spread(runs.of("rate", store, side, variant)),
                    number(median(runs.of("producer_us", store, side, variant))),
                    number(median(runs.of("server_us", store, side, variant))),
                ]
            foreign = [value for variant in self.variants for value in runs.of("foreign_percent", store, side, variant)]
            rows.append([*cells, percent(foreign)])
        return Table(heads=heads, rows=rows, left=2)
