"""What a transaction that somebody leaves open costs: its snapshot keeps the rows of finished work where they are."""

from __future__ import annotations

import time
from contextlib import nullcontext

from tests.bench.errors import VoidRun
from tests.bench.meter import Meter, between
from tests.bench.report import Table, median, number, percent, spread
from tests.bench.runs import Measure, Options, Results
from tests.bench.scene import new_scene
from tests.bench.sides import Side
from tests.bench.stores.base import Store

WAITING = 10_000
LEAST_WAITING, MOST_WAITING = 2_000, 20_000
LAST_SECONDS = 10.0
FREE, PINNED = "free", "pinned"


class Pinned(Measure):
    """A feeder keeps about 10,000 jobs waiting; the rate is that of the last 10 s."""

    name = "pinned"
    title = "While a snapshot is held"
    with_floor = False
    variants = (FREE, PINNED)

    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        with new_scene(store, side, options.children) as scene:
            scene.fill(WAITING)
            with (
                scene.pinned() if variant == PINNED else nullcontext(),
                scene.server() as server,
                scene.helper("feed", WAITING) as feeder,
                scene.working() as group,
            ):
                meter = Meter(ticks=scene.ticks, group=group, server=server, helpers=feeder.cpu_seconds)
                feeder.begin()
                meter.wait_for(1, 60.0)
                readings = [meter.find_and_read()]
                while readings[-1].at - readings[0].at < options.seconds:
                    time.sleep(min(LAST_SECONDS, options.seconds))
                    group.check()
                    readings.append(meter.find_and_read())
                waited = feeder.stop()
        least, most = waited["least_waiting"], waited["most_waiting"]
        if least < LEAST_WAITING or most > MOST_WAITING:
            raise VoidRun(f"From {least:,} to {most:,} jobs waited in the last {LAST_SECONDS:g} s.")
        early, late = between(*readings[:2]), between(*readings[-2:])
        return {
            "first_rate": early.rate,
            "last_rate": late.rate,
            "last_worker_us": late.worker_us,
            "last_server_us": late.server_us,
            "least_waiting": least,
            "most_waiting": most,
            "foreign_percent": late.foreign_percent,
        }

    def table(self, runs: Results) -> Table:
        heads = (
            "store", "transaction", "jobs/s, first 10 s", "jobs/s, last 10 s", "ratio", "worker CPU us/job",
            "server CPU us/job", "foreign CPU %",
        )  # fmt: skip
        rows = []
        for store, _ in runs.rows():
            free = median(runs.of("last_rate", store, variant=FREE))
            for variant, words in ((FREE, "none"), (PINNED, "held open")):
                last = runs.of("last_rate", store, variant=variant)
                rows.append(
                    [
                        store.title,
                        words,
                        number(median(runs.of("first_rate", store, variant=variant))),
                        spread(last),
                        f"**{median(last) / free:.2f}**" if variant == PINNED else "",
                        number(median(runs.of("last_worker_us", store, variant=variant))),
                        number(median(runs.of("last_server_us", store, variant=variant))),
                        percent(runs.of("foreign_percent", store, variant=variant)),
                    ]
                )
        return Table(heads=heads, rows=rows, left=2)
