"""Cases of the broker's contract: lives of workers, their death, and what becomes of the jobs that they held."""

from __future__ import annotations

import pytest

from django_jobs.core import attempts
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import Kind
from django_jobs.core.session import SessionState
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker, Rescued
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import TASK, Child, ids, make_message, make_session
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

TIMEOUT_SECONDS = 30


def rescue(broker: Broker, *, at_most_once: tuple[str, ...] = (), limit: int = 500) -> Rescued:
    return broker.rescue(timeout_seconds=TIMEOUT_SECONDS, max_crashes=3, at_most_once=at_most_once, limit=limit)


class SessionCases(BrokerCases):
    """A session is opened, renewed and closed by its keeper."""

    def test_known_sessions_are_listed_oldest_first(self, store: StoreHarness, broker: Broker) -> None:
        for number, session_id in enumerate(["b", "a", "c"]):
            broker.open_session(make_session(session_id, pid=number, details='{"queues": ["ä"]}'))
            store.advance(1)
        sessions = store.broker().sessions()
        assert [(session.id, session.pid) for session in sessions] == [("b", 0), ("a", 1), ("c", 2)]
        assert {(session.worker, session.host, session.details) for session in sessions} == {
            (f"host.{session_id}", "host", '{"queues": ["ä"]}') for session_id in "abc"
        }

    def test_a_session_is_alive_by_the_brokers_clock(self, store: StoreHarness, broker: Broker) -> None:
        store.advance(10_000)
        broker.open_session(make_session(started_us=5, renewed_us=5))
        (session,) = broker.sessions()
        assert session.state is SessionState.ALIVE
        assert abs(session.started_us - store.now_us()) < 60_000_000
        assert abs(session.renewed_us - store.now_us()) < 60_000_000

    def test_opening_again_changes_nothing_that_matters(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.open_session(make_session())
        assert [session.id for session in broker.sessions()] == ["session-1"]
        assert child.settle(claim)

    def test_a_renewal_says_what_is_new(self, store: StoreHarness, broker: Broker) -> None:
        broker.open_session(make_session())
        (opened,) = broker.sessions()
        store.advance(20)
        assert broker.renew(make_session(state=SessionState.STOPPING, details='{"slots": 2}')).alive is True
        (session,) = broker.sessions()
        assert (session.state, session.details) == (SessionState.STOPPING, '{"slots": 2}')
        assert session.renewed_us - opened.renewed_us >= 20_000_000
        assert (session.started_us, session.renewals) == (opened.started_us, opened.renewals + 1)

    def test_a_session_never_opened_is_not_alive(self, broker: Broker) -> None:
        assert broker.renew(make_session()).alive is False
        assert broker.sessions() == []

    def test_a_renewal_names_the_claims_that_are_held(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message() for _ in range(4)])
        done, half, elsewhere = child.claim(limit=1), child.claim(limit=2), other.claim(limit=1)
        child.settle_all(done)
        child.settle(half[0])
        assert broker.renew(make_session("session-1")).held == (half[0].name,)
        assert broker.renew(make_session("session-2")).held == (elsewhere[0].name,)
        child.settle(half[1])
        assert broker.renew(make_session("session-1")).held == ()

    def test_an_expired_session_that_nobody_declared_dead_goes_on(
        self, store: StoreHarness, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        claim = child.claim_one()
        store.advance(10 * TIMEOUT_SECONDS)
        assert broker.renew(make_session()).alive is True
        assert rescue(broker) == Rescued()
        assert child.settle(claim)
        assert ids(child.claim()) == ["b"]


class RescueCases(BrokerCases):
    """The death of a session is one event; its jobs go back."""

    def test_a_session_dies_once(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        store.advance(TIMEOUT_SECONDS - 10)
        assert rescue(broker) == Rescued()
        store.advance(11)
        assert rescue(broker).sessions == ("session-1",)
        assert rescue(broker).sessions == ()
        assert broker.renew(make_session()).alive is False
        assert SessionState.ALIVE not in {session.state for session in broker.sessions()}

    def test_a_stopping_session_can_die(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.renew(make_session(state=SessionState.STOPPING))
        store.advance(TIMEOUT_SECONDS + 1)
        assert rescue(broker).sessions == ("session-1",)

    def test_the_dead_claim_nothing(self, store: StoreHarness, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("job")])
        store.advance(TIMEOUT_SECONDS + 1)
        broker.renew(make_session("session-2"))
        rescue(broker)
        assert child.claim() == []
        assert ids(other.claim()) == ["job"]

    def test_a_clock_that_went_back_kills_nobody(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        child.claim_one()
        store.advance(-3600)
        assert rescue(broker) == Rescued()

    def test_jobs_of_the_dead_go_back_as_suspects_with_the_cause(
        self, store: StoreHarness, broker: Broker, child: Child, other: Child
    ) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        first, _ = child.claim()
        store.advance(TIMEOUT_SECONDS + 1)
        broker.renew(make_session("session-2"))
        assert rescue(broker) == Rescued(sessions=("session-1",), jobs=2)
        assert other.claim() == []
        claim = other.claim_suspect()
        assert (claim.message.id, claim.failures, claim.crashes) == ("a", 0, 0)
        assert claim.attempt > first.attempt
        assert [record.cause for record in attempts.load(claim.attempts)] == ["session death"]

    def test_jobs_of_the_living_stay(self, store: StoreHarness, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        child.claim_one()
        kept = other.claim_one()
        store.advance(TIMEOUT_SECONDS + 1)
        broker.renew(make_session("session-2"))
        assert rescue(broker).jobs == 1
        assert other.settle(kept)

    def test_what_had_ended_is_settled_until_the_rescue(
        self, store: StoreHarness, broker: Broker, child: Child, other: Child
    ) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        first, second = child.claim()
        store.advance(TIMEOUT_SECONDS + 1)
        assert child.settle(first), "the fence decides, not the session's age"
        rescue(broker)
        assert not child.settle(second), "it has gone back"

    def test_a_suspect_of_a_dead_session_is_charged_and_ends_in_quarantine(
        self, store: StoreHarness, broker: Broker, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("job")])
        for number in range(4):
            claim = Child(broker, f"session-{number}").claim_one(suspects=True)
            assert claim.crashes == max(0, number - 1)
            store.advance(TIMEOUT_SECONDS + 1)
            rescue(broker)
        assert broker.state_of(["job"]) == {}
        kept = results.load_many(["job"])["job"]
        assert (kept.status, kept.crashes) == (State.QUARANTINED, 3)
        assert [record.cause for record in attempts.load(kept.attempts)] == ["session death"] * 4

    def test_a_job_that_may_run_once_only_has_failed(
        self, store: StoreHarness, broker: Broker, child: Child, results: ResultStore
    ) -> None:
        broker.enqueue_many([make_message("once", task="shop.once"), make_message("again")])
        child.claim()
        store.advance(TIMEOUT_SECONDS + 1)
        assert rescue(broker, at_most_once=("shop.once", "shop.other")).jobs == 2
        assert set(broker.state_of(["once", "again"])) == {"again"}
        kept = results.load_many(["once"])["once"]
        assert (kept.status, kept.error_class) == (State.FAILED, "django_jobs.exceptions.WorkerLostError")

    def test_a_rescue_is_bounded(self, store: StoreHarness, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message() for _ in range(5)])
        for limit in (2, 2, 1):
            child.claim(limit=limit)
        store.advance(TIMEOUT_SECONDS + 1)
        broker.renew(make_session("session-2"))
        answers = [rescue(broker, limit=2) for _ in range(3)]
        assert [answer.jobs for answer in answers] == [2, 2, 1]
        assert [answer.more for answer in answers[:2]] == [True, True]
        assert rescue(broker) == Rescued()
        assert len([claim for _ in range(5) for claim in other.claim(suspects=True)]) == 5

    def test_what_a_closed_session_held_is_rescued(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("job")])
        late = child.claim_one()
        broker.close_session("session-1")
        broker.close_session("session-1")
        assert broker.renew(make_session()).alive is False
        assert SessionState.ALIVE not in {known.state for known in broker.sessions() if known.id == "session-1"}
        assert rescue(broker).jobs == 1
        assert other.claim_suspect().message.id == "job"
        assert not child.settle(late)

    def test_what_an_unknown_session_asks_for_is_not_lost(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        Child(broker, "nobody", opened=True).claim()
        rescue(broker)
        assert ids(child.claim(suspects=True)) == ["job"]


class ReleaseCases(BrokerCases):
    """What cannot be running any more is given back by the name of its claim."""

    def test_what_is_left_of_a_claim_goes_back_uncharged(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message(job_id) for job_id in "abcd"])
        kept, claims = child.claim(limit=1), child.claim(limit=2)
        child.settle(claims[0])
        assert broker.release([claims[0].name], cause="forgotten") == 1
        assert broker.release([claims[0].name], cause="forgotten") == 0
        back, fresh = other.claim()
        assert ids([back, fresh]) == ["c", "d"], "it keeps its place"
        assert (back.failures, back.crashes, back.suspect) == (0, 0, False)
        assert [record.cause for record in attempts.load(back.attempts)] == ["forgotten"]
        assert fresh.attempts == ""
        assert child.settle(kept[0])

    def test_a_released_fence_is_stale(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        broker.release([claim.name], cause="interrupted")
        assert not child.settle(claim)
        assert len(child.claim()) == 1

    def test_several_claims_go_back_together(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message() for _ in range(6)])
        names = [child.claim(limit=2)[0].name for _ in range(3)]
        assert broker.release(names[:2], cause="interrupted") == 4
        assert len(child.claim()) == 4

    def test_an_unknown_name_releases_nothing(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message()])
        child.claim_one()
        names = [ClaimName("session-1", 1, 99), ClaimName("session-1", 2, 1), ClaimName("nobody", 1, 1)]
        assert broker.release(names, cause="forgotten") == 0
        assert broker.release([], cause="forgotten") == 0

    def test_a_suspect_that_is_released_stays_one(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message()])
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=3)
        broker.release([child.claim_suspect().name], cause="interrupted")
        assert child.claim() == []
        assert child.claim_suspect().crashes == 1

    @pytest.mark.parametrize(("attempt", "noted"), [(0, None), (1, 7_000_000)])
    def test_the_start_of_a_long_job_is_noted_under_its_fence(
        self, broker: Broker, child: Child, attempt: int, noted: int | None
    ) -> None:
        broker.enqueue_many([make_message("job", task=TASK)])
        child.claim_one()
        assert broker.mark_started([("job", attempt, 7_000_000), ("nobody", 1, 7_000_000)]) == []
        assert broker.state_of(["job"])["job"].started_us == noted
