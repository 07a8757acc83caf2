"""What a measure is, and how its runs are repeated: interleaved, so that the machine's moods meet all sides alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from tests.bench.errors import VoidRun
from tests.bench.report import Table
from tests.bench.sides import SIDES, Side
from tests.bench.stores.base import Store

VOID_TRIES: Final = 3
OURS: Final = "django_jobs"
FLOOR: Final = "raw loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line may change."""

    reps: int | None = None
    """None: as many as each measure has by default."""
    jobs: int = 20_000
    deep_jobs: int = 200_000
    """Waiting, in `growth`."""
    children: int = 2
    seconds: float = 60.0
    """Of each half of `pinned`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run and its figures."""

    measure: str
    store: str
    side: str
    variant: str
    rep: int
    figures: dict[str, float]


class Measure(ABC):
    """One question, asked of each store (and side, and variant) `reps` times."""

    name: ClassVar[str]
    title: ClassVar[str]
    reps: ClassVar[int] = 1
    with_floor: ClassVar[bool] = True
    with_peers: ClassVar[bool] = False
    variants: ClassVar[Sequence[str]] = ("",)

    @abstractmethod
    def run(self, store: Store, side: Side, variant: str, options: Options) -> dict[str, float]:
        """Do one run and return its figures."""

    @abstractmethod
    def table(self, runs: Results) -> Table:
        """Return the figures of all runs as people read them."""


@dataclass(frozen=True, slots=True)
class Results:
    """The runs of one measure."""

    runs: Sequence[Run]
    stores: Sequence[Store]

    def of(self, figure: str, store: Store, side: str = OURS, variant: str = "") -> list[float]:
        """Return one figure of each repetition."""
        return [
            run.figures[figure]
            for run in self.runs
            if (run.store, run.side, run.variant) == (store.kind, side, variant)
        ]

    def rows(self) -> Iterator[tuple[Store, str]]:
        """Yield each store with each side that was measured on it."""
        for store in self.stores:
            for side in store.sides:
                if any((run.store, run.side) == (store.kind, side) for run in self.runs):
                    yield store, side


def repeat(measure: Measure, stores: Sequence[Store], options: Options, say: Callable[[str], None]) -> Results:
    """Do all runs of a measure, telling `say` of each."""
    runs = []
    for rep, store, side, variant in _plan(measure, stores, options.reps or measure.reps):
        name = " ".join(filter(None, (measure.name, str(rep), store.title, side, variant)))
        figures = _valid(measure, store, side, variant, options, partial(_say_of, say, name))
        say(f"{name}: " + ", ".join(f"{key} {value:,.2f}" for key, value in figures.items()))
        runs.append(Run(measure=measure.name, store=store.kind, side=side, variant=variant, rep=rep, figures=figures))
    return Results(runs, stores)


def _plan(measure: Measure, stores: Sequence[Store], reps: int) -> Iterator[tuple[int, Store, str, str]]:
    for rep in range(1, reps + 1):
        for store in stores:
            for side in _sides(measure, store):
                for variant in measure.variants:
                    yield rep, store, side, variant


def _sides(measure: Measure, store: Store) -> list[str]:
    """Return who is measured: we, and of the others those for which the question has an answer."""
    asked = {OURS: True, FLOOR: measure.with_floor}
    return [side for side in store.sides if asked.get(side, measure.with_peers)]


def _valid(
    measure: Measure, store: Store, side: str, variant: str, options: Options, say: Callable[[str], None]
) -> dict[str, float]:
    for _ in range(VOID_TRIES - 1):
        try:
            return measure.run(store, SIDES[side], variant, options)
        except VoidRun as error:
            say(f"{error} It is repeated.")
    return measure.run(store, SIDES[side], variant, options)


def _say_of(say: Callable[[str], None], name: str, text: str) -> None:
    say(f"{name}: {text}")
