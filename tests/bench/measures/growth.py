"""What a job costs in CPU where many jobs wait, right after they were enqueued and without ANALYZE."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

DRAIN_SECONDS = 900.0
SHALLOW, DEEP = "few", "many"


class Growth(Measure):
    """Measured by CPU and not by rate, since a noisy machine blurs it least."""

    name = "growth"
    title = "CPU per job where many wait"
    reps = 5
    with_floor = False
    variants = (SHALLOW, DEEP)

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        few, waiting = options.jobs, options.jobs if variant == SHALLOW else options.deep_jobs
        with new_scene(store, side, options.children) as scene:
            scene.fill(waiting)
            with scene.server() as server, scene.working() as group:
                meter = Meter(ticks=scene.ticks, group=group, server=server)
                marks = sorted({few * 5 // 100, few * 95 // 100, waiting * 95 // 100})
                readings = meter.read_at(marks, DRAIN_SECONDS)
                meter.wait_for(waiting, DRAIN_SECONDS)
                scene.expect_stored(waiting)
        first, whole = between(readings[0], readings[1]), between(readings[0], readings[-1])
        return {
            "waiting": waiting,
            "first_us": first.both_us,
            "whole_us": whole.both_us,
            "whole_rate": whole.rate,
            "foreign_percent": whole.foreign_percent,
        }

    def table(self, runs: Results) -> Table:
        few, many = (int(median([r.figures["waiting"] for r in runs.runs if r.variant == v])) for v in self.variants)
        heads = (
            "store", f"us/job of {few:,}", f"us/job, first {few:,} of {many:,}", "ratio", f"us/job, all of {many:,}",
            "ratio", "jobs/s, all", "foreign CPU %",
        )  # fmt: skip
        rows = []
        for store, _ in runs.rows():
            shallow = runs.of("first_us", store, variant=SHALLOW)
            deep, whole = runs.of("first_us", store, variant=DEEP), runs.of("whole_us", store, variant=DEEP)
            foreign = [run.figures["foreign_percent"] for run in runs.runs if run.store == store.kind]
            rows.append(
                [
                    store.title,
                    spread(shallow),
                    spread(deep),
                    f"**{median(deep) / median(shallow):.2f}**",
                    spread(whole),
                    f"**{median(whole) / median(shallow):.2f}**",
                    f"{median(runs.of('whole_rate', store, variant=DEEP)):,.0f}",
                    percent(foreign),
                ]
            )
        return Table(heads=heads, rows=rows)
