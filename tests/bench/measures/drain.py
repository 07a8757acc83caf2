"""How fast waiting no-op jobs are run and their results stored, beside the raw loop of the same store."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import FLOOR, OURS, Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

DRAIN_SECONDS = 300.0


class Drain(Measure):
    name = "drain"
    title = "No-op jobs per second"
    reps = 5

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        jobs = options.jobs
        with new_scene(store, side, options.children) as scene:
            scene.fill(jobs)
            with scene.server() as server, scene.working() as group:
                meter = Meter(ticks=scene.ticks, group=group, server=server)
                window = between(*meter.read_at([jobs * 5 // 100, jobs * 95 // 100], DRAIN_SECONDS))
                meter.wait_for(jobs, DRAIN_SECONDS)
                scene.expect_stored(jobs)
        return {
            "rate": window.rate,
            "worker_us": window.worker_us,
            "server_us": window.server_us,
            "both_us": window.both_us,
            "foreign_percent": window.foreign_percent,
        }

    def table(self, runs: Results) -> Table:
        heads = (
            "store", "who", "jobs/s", "of the raw loop's", "worker CPU us/job", "server CPU us/job",
            "CPU, times the raw loop's", "foreign CPU %",
        )  # fmt: skip
        rows = []
        for store, side in runs.rows():
            rows.append(
                [
                    store.title,
                    side,
                    spread(runs.of("rate", store, side)),
                    _times_floor(runs, "rate", store) if side == OURS else "",
                    number(median(runs.of("worker_us", store, side))),
                    number(median(runs.of("server_us", store, side))),
                    _times_floor(runs, "both_us", store) if side == OURS else "",
                    percent(runs.of("foreign_percent", store, side)),
                ]
            )
        return Table(heads=heads, rows=rows, left=2)


def _times_floor(runs: Results, figure: str, store: Store) -> str:
    """Write the median of how our figure compares with the raw loop's of the same repetition."""
    pairs = zip(runs.of(figure, store), runs.of(figure, store, FLOOR), strict=True)
    return f"**{number(median([ours / floor for ours, floor in pairs]))}**"
