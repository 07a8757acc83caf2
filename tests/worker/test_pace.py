"""How many jobs a child asks for."""

from __future__ import annotations

from django_jobs.execution.plan import Plan
from django_jobs.worker.pace import MAX_CLAIM, Pace
from tests.worker.conftest import make_spec


def plan() -> Plan:
    spec = make_spec("t")
    return Plan(spec, spec.options_over({}))


def grown(seconds: float) -> Pace:
    pace = Pace()
    pace.ran(plan(), seconds)
    for _ in range(10):
        pace.came_full(pace.limit(runners=1, idle=1))
    return pace


def test_it_starts_with_one_and_a_busy_child_asks_for_none() -> None:
    assert Pace().limit(runners=1, idle=1) == 1
    assert Pace().limit(runners=1, idle=0) == 0


def test_it_holds_fifty_milliseconds_of_work_and_never_more_than_a_claim_may_have() -> None:
    assert grown(0.001).limit(runners=1, idle=1) == 50
    assert grown(0.001).limit(runners=4, idle=1) == 200
    assert grown(0.000001).limit(runners=1, idle=1) == MAX_CLAIM


def test_long_jobs_are_asked_for_only_by_who_has_nothing_to_do() -> None:
    pace = grown(10.0)

    assert pace.limit(runners=1, idle=1) == 1
    assert pace.limit(runners=8, idle=3) <= 3
    assert pace.limit(runners=1, idle=0) == 0


def test_one_long_job_among_short_ones_makes_it_careful_at_once() -> None:
    pace = grown(0.001)

    pace.ran(plan(), 2.0)

    assert pace.limit(runners=1, idle=1) == 1


def test_a_task_is_short_once_it_was_timed_and_took_little() -> None:
    pace, short, long, unknown = Pace(), plan(), plan(), plan()

    pace.ran(short, 0.001)
    pace.ran(long, 0.1)

    assert [pace.is_short(item) for item in (short, long, unknown)] == [True, False, False]


def test_an_unknown_task_begins_the_growth_anew() -> None:
    pace = grown(0.001)

    pace.met_unknown()

    assert pace.limit(runners=1, idle=1) == 1
