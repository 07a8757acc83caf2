"""Cases of the broker's contract: what each outcome leads to, and that a stale fence changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from django_jobs.core import attempts
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import ClaimName
from django_jobs.core.outcome import FINAL, ErrorInfo, Kind
from django_jobs.core.states import State
from django_jobs.ports.broker import Broker
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.child import Child, ids, make_message, make_outcome
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness

ERROR = ErrorInfo(error_class="shop.errors.Late", message="ключ 😀 '; --", traceback='File "x.py"\n  é')

OTHER_FENCES: dict[str, dict[str, Any]] = {
    "later attempt": {"attempt": 2},
    "earlier attempt": {"attempt": 0},
    "other claim": {"name": ClaimName("session-1", 1, 99)},
    "other child": {"name": ClaimName("session-1", 2, 1)},
    "other session": {"name": ClaimName("session-2", 1, 1)},
}


class EndCases(BrokerCases):
    """Outcomes that end a job."""

    @pytest.mark.parametrize("kind", FINAL)
    def test_an_end_is_stored_and_final(
        self, broker: Broker, child: Child, other: Child, results: ResultStore, kind: Kind
    ) -> None:
        message = make_message("job", priority=3, id_given=True)
        broker.enqueue_many([message])
        claim = child.claim_one()
        result = "[1]" if kind is Kind.SUCCEEDED else ""
        assert child.settle(claim, kind, result=result, error=ERROR, started_us=5_000_000, worker="host.1")
        assert broker.state_of(["job"]) == {}
        assert other.claim() == []
        kept = results.load_many(["job"])["job"]
        assert kept.status is FINAL[kind]
        assert (kept.id, kept.task, kept.queue, kept.body) == (message.id, message.task, message.queue, message.body)
        assert (kept.priority, kept.id_given, kept.attempt, kept.failures) == (
            3,
            True,
            claim.attempt,
            kind is Kind.FAILED,
        )
        assert (kept.result, kept.worker, kept.started_us) == (result, "host.1", 5_000_000)
        assert (kept.error_class, kept.error_message, kept.traceback) == (
            ERROR.error_class,
            ERROR.message,
            ERROR.traceback,
        )
        assert kept.enqueued_us == claim.enqueued_us
        assert kept.finished_us is not None

    def test_a_success_that_nobody_wants_is_not_kept(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("job")])
        assert child.settle(child.claim_one(), keep=False)
        assert results.load_many(["job"]) == {}
        assert broker.state_of(["job"]) == {}

    @pytest.mark.parametrize("kind", [Kind.FAILED, Kind.CANCELLED, Kind.EXPIRED])
    def test_every_other_end_is_kept_whatever_is_wanted(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind
    ) -> None:
        broker.enqueue_many([make_message("job")])
        assert child.settle(child.claim_one(), kind, keep=False)
        assert results.load_many(["job"])["job"].status is FINAL[kind]

    def test_what_went_wrong_is_kept_with_the_end(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("job")])
        for kind in (Kind.RETRYING, Kind.FAILED):
            claim = child.claim_one()
            record = AttemptRecord(attempt=claim.attempt, cause="failure", message=kind.value)
            child.settle(claim, kind, record=record)
        kept = results.load_many(["job"])["job"]
        assert [record.message for record in attempts.load(kept.attempts)] == ["retrying", "failed"]
        assert (kept.failures, kept.attempt) == (2, claim.attempt)

    def test_a_long_result_is_kept_to_the_character(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("job")])
        result = '"' + "é" * 300_000 + '"'
        assert child.settle(child.claim_one(), result=result)
        assert results.load_many(["job"])["job"].result == result

    def test_a_batch_is_settled_in_one_step(self, broker: Broker, child: Child, results: ResultStore) -> None:
        messages = [make_message() for _ in range(500)]
        broker.enqueue_many(messages)
        assert child.settle_all(child.claim(limit=500)) == ()
        assert set(results.load_many([message.id for message in messages])) == {message.id for message in messages}
        assert broker.stats() == []

    def test_outcomes_of_every_kind_go_together(self, broker: Broker, child: Child, results: ResultStore) -> None:
        kinds = [*Kind, *Kind]
        broker.enqueue_many([make_message(f"{number:02}") for number in range(len(kinds))])
        outcomes = [
            make_outcome(claim, kind, delay_seconds=60) for claim, kind in zip(child.claim(), kinds, strict=True)
        ]
        assert broker.exchange(outcomes, None).stale == ()
        ended = results.load_many([outcome.id for outcome in outcomes])
        assert {job_id: kept.status for job_id, kept in ended.items()} == {
            outcome.id: FINAL[outcome.kind] for outcome in outcomes if outcome.kind in FINAL
        }
        assert set(broker.state_of([outcome.id for outcome in outcomes])) == {
            outcome.id for outcome in outcomes if outcome.kind not in FINAL
        }


class ReturnCases(BrokerCases):
    """Outcomes after which a job waits again."""

    def test_a_retry_waits_for_its_delay(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        first = child.claim_one()
        record = AttemptRecord(attempt=first.attempt, cause="failure", error_class="shop.errors.Late")
        assert child.settle(first, Kind.RETRYING, delay_seconds=30, record=record)
        view = broker.state_of(["job"])["job"]
        assert (view.state, view.failures, view.claim) == (State.RETRYING, 1, None)
        store.advance(25)
        assert child.claim() == []
        store.advance(6)
        second = child.claim_one()
        assert (second.failures, second.attempt > first.attempt) == (1, True)
        assert attempts.load(second.attempts) == [record]

    def test_a_retry_without_delay_goes_to_the_end_of_its_line(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        child.settle(child.claim_one(), Kind.RETRYING)
        assert ids(child.claim()) == ["b", "a"]

    def test_a_snoozed_job_waits_and_is_not_charged(self, store: StoreHarness, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        first = child.claim_one()
        assert child.settle(first, Kind.SNOOZED, delay_seconds=30)
        view = broker.state_of(["job"])["job"]
        assert (view.state, view.failures, view.claim) == (State.RETRYING, 0, None)
        store.advance(25)
        assert child.claim() == []
        store.advance(6)
        second = child.claim_one()
        assert (second.failures, second.attempts, second.attempt > first.attempt) == (0, "", True)

    def test_a_snooze_without_delay_goes_to_the_end_of_its_line(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        child.settle(child.claim_one(), Kind.SNOOZED)
        assert ids(child.claim()) == ["b", "a"]

    def test_a_released_job_is_uncharged_and_keeps_its_place(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message(job_id) for job_id in "abc"])
        first = child.claim_one()
        assert child.settle(first, Kind.RELEASED)
        claims = other.claim()
        assert ids(claims) == ["a", "b", "c"]
        assert (claims[0].failures, claims[0].crashes, claims[0].suspect) == (0, 0, False)
        assert claims[0].attempt > first.attempt

    def test_a_job_of_an_unknown_task_is_parked(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("a", task="shop.later"), make_message("b")])
        assert child.settle(child.claim_one(), Kind.UNKNOWN_TASK)
        view = broker.state_of(["a"])["a"]
        assert (view.state, view.parked, view.failures, view.crashes) == (State.QUEUED, "unknown task", 0, 0)
        assert ids(other.claim()) == ["b"]

    def test_a_parked_job_returns_to_its_place_when_its_task_is_known(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a", task="shop.later"), make_message("b", task="shop.never")])
        broker.enqueue_many([make_message("c")])
        child.settle_all(child.claim(limit=2), Kind.UNKNOWN_TASK)
        assert broker.unpark(["shop.later", "shop.other"]) == 1
        assert broker.unpark(["shop.later"]) == 0
        assert broker.unpark([]) == 0
        assert ids(child.claim()) == ["a", "c"]


class CrashCases(BrokerCases):
    """Crashes, suspects and the quarantine."""

    def test_a_crashed_job_is_a_suspect_and_claimed_alone(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message(job_id) for job_id in "abc"])
        assert child.settle_all(child.claim(limit=2), Kind.CRASHED) == ()
        assert broker.state_of(["a"])["a"].suspect is True
        assert ids(other.claim()) == ["c"], "a suspect is not given to who may run something else"
        assert ids(other.claim(suspects=True)) == ["a"]
        assert ids(other.claim(suspects=True)) == ["b"]

    def test_who_asks_for_a_suspect_gets_an_ordinary_job_where_there_is_none(
        self, broker: Broker, child: Child
    ) -> None:
        broker.enqueue_many([make_message("a"), make_message("b")])
        assert ids(child.claim(limit=1, suspects=True)) == ["a"]

    def test_suspects_of_other_queues_are_left_alone(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("a", queue="a")])
        child.settle(child.claim_one("a"), Kind.CRASHED)
        assert child.claim("b", suspects=True) == []
        assert child.claim_suspect("a").message.id == "a"

    def test_an_uncharged_crash_is_not_counted(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        child.settle(child.claim_one(), Kind.CRASHED, max_crashes=1)
        claim = child.claim_suspect()
        assert (claim.failures, claim.crashes) == (0, 0)

    def test_a_crash_among_others_counts_for_a_suspect(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        for crashes in (0, 0, 1):
            claim = child.claim_one(suspects=True)
            assert claim.crashes == crashes
            child.settle(claim, Kind.CRASHED, max_crashes=3)

    def test_charged_crashes_end_in_quarantine(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message("job")])
        for crashes in range(3):
            claim = child.claim_one(suspects=True)
            assert (claim.crashes, claim.suspect) == (crashes, crashes > 0)
            record = AttemptRecord(attempt=claim.attempt, cause="crash")
            child.settle(claim, Kind.CRASHED, charged=True, max_crashes=3, record=record, error=ERROR)
        assert child.claim(suspects=True) == []
        kept = results.load_many(["job"])["job"]
        assert (kept.status, kept.crashes, kept.failures) == (State.QUARANTINED, 3, 0)
        assert kept.error_class == ERROR.error_class
        assert [record.cause for record in attempts.load(kept.attempts)] == ["crash"] * 3

    def test_any_other_end_of_an_attempt_clears_the_suspicion(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=3)
        child.settle(child.claim_suspect(), Kind.RETRYING)
        claim = child.claim_one()
        assert (claim.crashes, claim.suspect, claim.failures) == (0, False, 1)

    @pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.UNKNOWN_TASK])
    def test_a_suspect_that_did_not_run_stays_one(self, broker: Broker, child: Child, kind: Kind) -> None:
        broker.enqueue_many([make_message("job")])
        child.settle(child.claim_one(), Kind.CRASHED, charged=True, max_crashes=3)
        child.settle(child.claim_suspect(), kind)
        broker.unpark([make_message().task])
        assert child.claim() == []
        assert child.claim_suspect().crashes == 1


class FenceCases(BrokerCases):
    """A write with another fence changes nothing."""

    @pytest.mark.parametrize("kind", Kind)
    @pytest.mark.parametrize("fence", OTHER_FENCES.values(), ids=OTHER_FENCES)
    def test_a_stale_outcome_changes_nothing(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind, fence: dict[str, Any]
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        before = broker.state_of(["job"])
        outcome = msgspec.structs.replace(make_outcome(claim, kind, charged=True, max_crashes=1), **fence)
        assert broker.exchange([outcome], None).stale == ("job",)
        assert broker.state_of(["job"]) == before
        assert results.load_many(["job"]) == {}
        assert child.settle(claim), "the right fence still settles"

    @pytest.mark.parametrize("kind", Kind)
    def test_a_repeated_outcome_changes_nothing(
        self, broker: Broker, child: Child, results: ResultStore, kind: Kind
    ) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        assert child.settle(claim, kind, charged=True, max_crashes=3)
        before = (broker.state_of(["job"]), results.load_many(["job"]))
        assert not child.settle(claim, kind, charged=True, max_crashes=3)
        assert (broker.state_of(["job"]), results.load_many(["job"])) == before

    def test_the_late_one_of_two_is_refused(self, broker: Broker, child: Child, other: Child) -> None:
        broker.enqueue_many([make_message("job")])
        late = child.claim_one()
        broker.release([late.name], cause="forgotten")
        current = other.claim_one()
        assert not child.settle(late, Kind.FAILED)
        assert other.settle(current)

    def test_an_outcome_of_an_unknown_job_is_stale(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        outcome = msgspec.structs.replace(make_outcome(child.claim_one()), id="nobody")
        assert broker.exchange([outcome], None).stale == ("nobody",)

    def test_one_stale_outcome_stops_no_other(self, broker: Broker, child: Child, results: ResultStore) -> None:
        broker.enqueue_many([make_message(job_id) for job_id in "abc"])
        claims = child.claim()
        child.settle(claims[1])
        assert child.settle_all(claims) == ("b",)
        assert set(results.load_many(["a", "b", "c"])) == {"a", "b", "c"}
        assert broker.stats() == []

    def test_the_same_outcome_twice_in_a_batch_counts_once(self, broker: Broker, child: Child) -> None:
        broker.enqueue_many([make_message("job")])
        claim = child.claim_one()
        assert child.settle_all([claim, claim], Kind.RETRYING) == ("job",)
        assert broker.state_of(["job"])["job"].failures == 1
