"""The measures, by the name that the command takes."""

from __future__ import annotations

from typing import Final

from tests.bench.measures.blocked import Blocked
from tests.bench.measures.drain import Drain, DrainWithoutResults
from tests.bench.measures.enqueue import Enqueue
from tests.bench.measures.growth import Growth
from tests.bench.measures.idle import Idle
from tests.bench.measures.latency import Latency
from tests.bench.measures.pinned import Pinned
from tests.bench.runs import Measure

MEASURES: Final[dict[str, Measure]] = {
    measure.name: measure
    for measure in (
        Drain(),
        DrainWithoutResults(),
        Growth(),
        Latency(),
        Pinned(),
        Idle(),
        Enqueue(),
        Blocked(),
    )
}
