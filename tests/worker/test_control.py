"""A keeper that is given orders over the memory broker, step by step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from django_jobs.core.control import Order, Verb
from django_jobs.core.session import SessionState
from django_jobs.worker.keeper import Keeper
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.leave import Leave
from tests.worker.conftest import SESSION, Desk


def give(desk: Desk, verb: str, value: int | None = None, order_id: str = "") -> str:
    order_id = order_id or f"order-{len(desk.broker.orders_of(SESSION, after=0))}"
    assert desk.broker.give_order(SESSION, Order(id=order_id, verb=verb, value=value))
    return order_id


def obey(desk: Desk, keeper: Keeper) -> Sequence[dict[str, Any]]:
    """Let the keeper look; return what its session then says was answered."""
    desk.advance(1.1)
    keeper.step()
    keeper.step()  # the answer travels with a renewal of its own
    [session] = desk.broker.sessions()
    answers: list[dict[str, Any]] = json.loads(session.details)["answers"]
    return answers


def test_a_quiet_worker_claims_nothing_and_says_so_until_it_resumes(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    fetcher = desk.fetcher(burst=False)
    desk.enqueue()

    order = give(desk, Verb.QUIET)
    assert [(answer["id"], answer["done"]) for answer in obey(desk, keeper)] == [(order, True)]
    assert [session.state for session in desk.broker.sessions()] == [SessionState.QUIET]
    fetcher.flush()
    assert desk.held() == 0

    give(desk, Verb.RESUME)
    assert [answer["done"] for answer in obey(desk, keeper)] == [True, True]
    assert "children" in desk.pokes
    assert [session.state for session in desk.broker.sessions()] == [SessionState.ALIVE]
    assert fetcher.next() is not None


def test_an_order_is_obeyed_once_also_by_the_next_keeper(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    give(desk, Verb.QUIET)
    obey(desk, keeper)
    desk.shared.words[Word.QUIET] = 0

    obey(desk, desk.keeper())

    assert desk.shared.words[Word.QUIET] == 0


def test_a_new_session_stays_as_quiet_and_as_large_as_the_worker_was_told_to_be(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    give(desk, Verb.QUIET)
    give(desk, Verb.CONCURRENCY, 5)
    obey(desk, keeper)

    desk.shared.reset()

    assert (desk.shared.words[Word.QUIET], desk.shared.words[Word.CHILDREN], desk.shared.words[Word.ORDER]) == (1, 5, 0)


def test_an_early_renewal_that_tells_an_answer_proves_no_period_without_a_gap(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    for number in range(5):
        give(desk, Verb.RESUME, order_id=f"r{number}")
        keeper.obey()
        keeper.step()

    assert desk.broker.sessions()[0].renewals == 5
    assert keeper._renewals_in_a_row == 1


def test_a_stop_is_left_to_the_supervisor(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    give(desk, Verb.STOP)

    assert [answer["text"] for answer in obey(desk, keeper)] == ["it stops"]

    assert desk.shared.words[Word.STOP_ORDERED]
    assert "supervisor" in desk.pokes
    give(desk, Verb.RESUME)
    assert obey(desk, keeper)[-1]["done"] is False


@pytest.mark.parametrize("count", [0, 17, None])
def test_numbers_of_children_that_cannot_be_are_refused(desk: Desk, count: int | None) -> None:
    keeper = desk.keeper()
    keeper.step()
    give(desk, Verb.CONCURRENCY, count)

    [answer] = obey(desk, keeper)

    assert answer["done"] is False
    assert "1 to 16 children" in answer["text"]
    assert desk.shared.words[Word.CHILDREN] == 0


def test_a_verb_of_a_later_version_is_answered_and_does_nothing(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    give(desk, "dance")

    [answer] = obey(desk, keeper)

    assert (answer["done"], "'dance'" in answer["text"]) == (False, True)


def test_stacks_are_told_with_the_jobs_that_run_and_are_not_kept_for_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = desk.keeper()
    keeper.step()
    [job_id] = desk.enqueue("long")
    assert desk.fetcher(burst=False).next() is not None
    give(desk, Verb.STACKS)

    [answer] = obey(desk, keeper)

    assert answer["text"].startswith("the stacks of 1 process\nworker, process ")
    assert f"runs long {job_id} for 0." in answer["text"]
    assert "in test_stacks_are_told_with_the_jobs_that_run_and_are_not_kept_for_long" in answer["text"]
    monkeypatch.setattr("django_jobs.worker.control.STACKS_KEPT_SECONDS", -1.0)
    desk.advance(5)
    keeper.step()
    [later] = json.loads(desk.broker.sessions()[0].details)["answers"]
    assert later == {"id": answer["id"], "done": True, "text": "the stacks of 1 process"}


def test_the_last_answers_are_kept(desk: Desk) -> None:
    keeper = desk.keeper()
    keeper.step()
    given = [give(desk, Verb.RESUME, order_id=f"o{number}") for number in range(8)]

    assert [answer["id"] for answer in obey(desk, keeper)] == given[-5:]


def test_a_dismissed_child_runs_what_it_holds_and_leaves(desk: Desk) -> None:
    desk.open_session()
    fetcher = desk.fetcher(burst=False)
    desk.enqueue(count=200)
    held = fetcher.next()
    while (waiting := desk.slots[ChildWord.WAITING]) < 3:  # claims grow with what is learned
        desk.succeed(fetcher, held, 0.0001)
        held = fetcher.next()

    desk.slots.set(ChildWord.DISMISSED, 1)
    desk.succeed(fetcher, held, 0.0001)
    for _ in range(waiting):
        desk.succeed(fetcher, fetcher.next(), 0.0001)
    assert fetcher.next() is None

    assert fetcher.leave is Leave.DISMISSED
    fetcher.close()
    assert desk.held() == 0
    assert held is not None
    assert held.claim.message.id in desk.ended
    assert desk.broker.stats()[0].queued > 0, "it has left jobs to others"
    assert desk.slots.open_claims() == set()
