"""The order in which a claim asks the queues."""

from __future__ import annotations

from collections import Counter
from random import Random

from django_jobs.worker.queues import REFRESH_SECONDS, QueueOrder


def order(weights: dict[str, int] | None, *, excluded: frozenset[str] = frozenset(), **all_weights: int) -> QueueOrder:
    return QueueOrder(weights=weights, all_weights=all_weights, excluded=excluded, random=Random(1))


def test_queues_are_first_as_often_as_their_weights_say() -> None:
    drawn = order({"a": 3, "b": 1})

    first = Counter(drawn.draw()[0] for _ in range(4000))

    assert 0.72 < first["a"] / 4000 < 0.78


def test_every_draw_names_every_queue_once() -> None:
    drawn = order({"a": 1, "b": 100, "c": 1})

    assert all(sorted(drawn.draw()) == ["a", "b", "c"] for _ in range(100))


def test_without_a_choice_all_queues_that_hold_something_are_asked_by_their_settings() -> None:
    drawn = order(None, excluded=frozenset({"left"}), heavy=9)
    assert drawn.draw() == ()

    drawn.refresh(lambda: ["heavy", "light", "left"], 0.0)

    first = Counter(drawn.draw()[0] for _ in range(2000))
    assert set(first) == {"heavy", "light"}
    assert 0.87 < first["heavy"] / 2000 < 0.93
    assert drawn.names is None


def test_what_holds_something_is_looked_at_once_a_second() -> None:
    drawn = order(None)
    assert drawn.needs_refresh(0.0)

    drawn.refresh(list, 0.0)

    assert not drawn.needs_refresh(0.5)
    assert drawn.needs_refresh(REFRESH_SECONDS)
    assert not order({"a": 1}).needs_refresh(1000.0)


def test_queues_that_ran_empty_are_still_asked_first() -> None:
    drawn = order(None)
    before = drawn.knows_any
    answers = [drawn.refresh(lambda: ["a"], 0.0), drawn.refresh(list, 1.0)]

    assert answers == [True, False]
    assert (before, drawn.knows_any, drawn.draw()) == (False, True, ("a",))
