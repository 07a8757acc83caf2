"""How fast waiting no-op jobs are run and their results stored, beside the raw loop of the same store."""

from __future__ import annotations

from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import FLOOR, OURS, Measure, Options, Results
from tests.bench.scene import Scene, new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

DRAIN_SECONDS = 300.0


class Drain(Measure):
    name = "drain"
    title = "No-op jobs per second"
    with_peers = True
    reps = 5

    def fill(self, scene: Scene, jobs: int) -> int:
        """Let so many jobs wait; return how many results they keep."""
        scene.fill(jobs)
        return jobs

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        jobs = options.jobs
        with new_scene(store, side, options.children) as scene:
            results = self.fill(scene, jobs)
            with scene.server() as server, scene.working() as group:
                meter = Meter(ticks=scene.ticks, group=group, server=server)
                window = between(*meter.read_at([jobs * 5 // 100, jobs * 95 // 100], DRAIN_SECONDS))
                meter.wait_for(jobs, DRAIN_SECONDS)
                scene.expect_stored(jobs, results=results)
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
            plain = _plain_cells(runs, store, side)
            rate = _times_floor(runs, "rate", store) if side == OURS else ""
            both = _times_floor(runs, "both_us", store) if side == OURS else ""
            rows.append([*plain[:3], rate, *plain[3:5], both, plain[5]])
        return Table(heads=heads, rows=rows, left=2)


class DrainWithoutResults(Drain):
    """The raw loop stores results, so it is not beside."""

    name = "drain-without-results"
    title = "No-op jobs per second that keep no result"
    with_floor = False

    def fill(self, scene: Scene, jobs: int) -> int:
        scene.fill_dropped(jobs)
        return 0

    def table(self, runs: Results) -> Table:
        heads = ("store", "who", "jobs/s", "worker CPU us/job", "server CPU us/job", "foreign CPU %")
        return Table(heads=heads, rows=[_plain_cells(runs, store, side) for store, side in runs.rows()], left=2)


def _plain_cells(runs: Results, store: Store, side: str) -> list[str]:
    return [
        store.title,
        side,
        spread(runs.of("rate", store, side)),
        number(median(runs.of("worker_us", store, side))),
        number(median(runs.of("server_us", store, side))),
        percent(runs.of("foreign_percent", store, side)),
    ]


def _times_floor(runs: Results, figure: str, store: Store) -> str:
    """Write the median of how our figure compares with the raw loop's of the same repetition."""
    pairs = zip(runs.of(figure, store), runs.of(figure, store, FLOOR), strict=True)
    return f"**{number(median([ours / floor for ours, floor in pairs]))}**"
