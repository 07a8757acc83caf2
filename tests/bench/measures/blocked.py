"""What jobs that wait for a limit cost those that do not: nothing, if a claim never comes across them."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

DRAIN_SECONDS = 300.0
WAITING = 10_000
FREE, BLOCKED = "free", "blocked"


class Blocked(Measure):
    """The blocked jobs stand in the same queue, and were enqueued before the others."""

    name = "blocked"
    title = "Beside jobs that wait for a limit"
    reps = 5
    with_floor = False
    variants = (FREE, BLOCKED)

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        jobs = options.jobs
        with new_scene(store, side, options.children) as scene:
            if variant == BLOCKED:
                scene.do("block", WAITING)
            scene.fill(jobs)
            with scene.server() as server, scene.working() as group:
                meter = Meter(ticks=scene.ticks, group=group, server=server)
                # The beginning is left out, in which they are put aside.
                window = between(*meter.read_at([jobs * 50 // 100, jobs * 95 // 100], DRAIN_SECONDS))
                meter.wait_for(jobs, DRAIN_SECONDS)
        return {"rate": window.rate, "both_us": window.both_us, "foreign_percent": window.foreign_percent}

    def table(self, runs: Results) -> Table:
        heads = ("store", f"{WAITING:,} blocked", "jobs/s", "CPU us/job", "ratio", "foreign CPU %")
        rows = []
        for store, _ in runs.rows():
            free = median(runs.of("both_us", store, variant=FREE))
            for variant, words in ((FREE, "no"), (BLOCKED, "yes")):
                cost = median(runs.of("both_us", store, variant=variant))
                rows.append(
                    [
                        store.title,
                        words,
                        spread(runs.of("rate", store, variant=variant)),
                        number(cost),
                        f"**{cost / free:.2f}**" if variant == BLOCKED else "",
                        percent(runs.of("foreign_percent", store, variant=variant)),
                    ]
                )
        return Table(heads=heads, rows=rows)
