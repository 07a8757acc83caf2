"""When a busy child makes room for a suspect, and for how long at most."""

from __future__ import annotations

from functools import partial

from django_jobs.worker.suspects import (
    FIRST_QUIET_SECONDS,
    LOOK_SECONDS,
    OPEN_FACTOR,
    PATIENCE_SECONDS,
    SuspectWatch,
)


def watching(*, suspects: bool = True, now: float = 0.0) -> SuspectWatch:
    watch = SuspectWatch()
    watch.look(now, lambda: suspects)
    return watch


def test_a_child_that_knows_of_no_suspect_is_never_quiet() -> None:
    watch = watching(suspects=False)

    assert not watch.is_quiet(1000.0)


def test_a_child_is_quiet_once_it_has_known_of_a_suspect_for_its_patience() -> None:
    watch = watching()

    assert not watch.is_quiet(PATIENCE_SECONDS - 0.01)
    assert watch.is_quiet(PATIENCE_SECONDS)


def test_looking_again_does_not_begin_the_patience_anew() -> None:
    watch = watching()
    for second in range(1, int(PATIENCE_SECONDS)):
        watch.look(float(second), lambda: True)

    assert watch.is_quiet(PATIENCE_SECONDS)


def test_it_looks_once_a_second() -> None:
    looks: list[float] = []
    watch = SuspectWatch()

    def look(now: float) -> bool:
        looks.append(now)
        return True

    for now in (0.0, LOOK_SECONDS / 2, LOOK_SECONDS, 1.5 * LOOK_SECONDS):
        watch.look(now, partial(look, now))

    assert looks == [0.0, LOOK_SECONDS]


def test_a_suspect_that_another_child_took_ends_the_quiet() -> None:
    watch = watching()
    assert watch.is_quiet(PATIENCE_SECONDS)

    watch.look(PATIENCE_SECONDS, lambda: False)

    assert not watch.is_quiet(PATIENCE_SECONDS)


def test_a_job_that_runs_on_costs_a_quarter_of_the_time_and_any_that_ends_lets_the_suspect_through() -> None:
    watch = watching()
    quiet_spans: list[int] = []
    was_quiet = False
    seconds = 2000
    for now in range(seconds):
        quiet = watch.is_quiet(float(now))
        if quiet:
            quiet_spans = [*quiet_spans[:-1], quiet_spans[-1] + 1] if was_quiet else [*quiet_spans, 1]
        was_quiet = quiet

    assert quiet_spans[:4] == [FIRST_QUIET_SECONDS * 2**turn for turn in range(4)]
    assert sum(quiet_spans) / seconds < 1 / (1 + OPEN_FACTOR) + 0.1


def test_asking_for_a_suspect_begins_anew() -> None:
    watch = watching()
    assert watch.is_quiet(PATIENCE_SECONDS)

    watch.served()

    assert not watch.is_quiet(PATIENCE_SECONDS + 1)
