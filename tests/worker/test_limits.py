"""A child's limits: so many jobs, and no more, in a child and in all of them together."""

from __future__ import annotations

from django_jobs.core.states import State
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.leave import Leave, Quota
from tests.worker.conftest import Desk


def quota(**limits: int) -> Quota:
    return Quota(**{"max_jobs": None, "max_jobs_per_child": None, "max_memory_mib": None} | limits)


def test_a_child_ends_after_its_number_of_jobs_and_claims_no_more_than_that(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=50)
    fetcher = desk.fetcher(quota=quota(max_jobs_per_child=7))

    assert len(desk.drain(fetcher)) == 7
    assert fetcher.leave is Leave.RECYCLED
    assert len(desk.ended) == 7


def test_all_children_together_start_no_more_than_max_jobs(desk: Desk) -> None:
    desk.open_session()
    desk.enqueue(count=50)
    desk.shared.words[Word.JOBS_STARTED] = 40
    fetcher = desk.fetcher(quota=quota(max_jobs=45))

    assert len(desk.drain(fetcher)) == 5
    assert fetcher.leave is Leave.ENOUGH


def test_a_struck_job_does_not_count_for_max_jobs(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=60)
    fetcher = desk.fetcher(quota=quota(max_jobs=40))
    done = [desk.succeed(fetcher, fetcher.next(), 0.0001) for _ in range(8)]
    while desk.slots[ChildWord.WAITING] < 3:
        done.append(desk.succeed(fetcher, fetcher.next(), 0.0001))
    with desk.slots.locked() as taken:
        assert taken
        struck = {job.id for job in desk.slots.strike(1)}

    done += desk.drain(fetcher)

    assert len(done) == 40
    assert not struck & set(done)
    assert desk.shared.words[Word.JOBS_STARTED] == 40
    assert desk.ended == set(ids[: len(done) + len(struck)]) - struck


def test_a_job_for_which_no_ticket_is_left_goes_back_unstarted(desk: Desk) -> None:
    desk.open_session()
    ids = desk.enqueue(count=3)
    desk.shared.words[Word.JOBS_STARTED] = 4
    fetcher = desk.fetcher(quota=quota(max_jobs=5))
    desk.broker.on_want = lambda want: desk.shared.words.__setitem__(Word.JOBS_STARTED, 5)  # another child was faster

    assert desk.drain(fetcher) == []

    assert fetcher.leave is Leave.ENOUGH
    assert desk.slots[ChildWord.STARTED] == desk.held() == 0
    views = desk.broker.state_of(ids).values()
    assert {(view.state, view.started_us, view.attempts) for view in views} == {(State.QUEUED, None, "")}
