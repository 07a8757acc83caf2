"""The contract of a result store."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from django_jobs.core.outcome import StoredResult
from django_jobs.core.states import ENDED, State
from django_jobs.ports.result_store import ResultStore
from django_jobs.testing.contracts.base import StoreContract
from django_jobs.testing.harness import StoreHarness


def make_result(job_id: str = "job", **fields: Any) -> StoredResult:
    given = {"task": "shop.t", "queue": "q", "status": State.SUCCEEDED, "body": '{"v":1}', "attempt": 1, **fields}
    return StoredResult(id=job_id, **given)


class ResultStoreContract(StoreContract):
    """Every result store passes this: subclass it and override `store`."""

    @pytest.fixture
    def results(self, store: StoreHarness) -> ResultStore:
        return store.results()

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_a_result_comes_out_as_it_went_in(self, store: StoreHarness, results: ResultStore, status: State) -> None:
        result = _kept(
            store,
            "job",
            status=status,
            priority=-3,
            id_given=True,
            result='{"a": ["é😀\\u0000", 9223372036854775807]}',
            error_class="shop.errors.Late",
            error_message="'; -- %s \\ ключ",
            traceback='File "x.py"\n  é',
            attempts='[{"attempt":1,"cause":"failure"}]',
            attempt=7,
            failures=2,
            crashes=1,
            enqueued_us=1_700_000_000_123_456,
            started_us=1_700_000_001_000_001,
            worker="host.1",
        )
        results.save_many([result])
        assert store.results().load_many(["job"]) == {"job": result}

    def test_unknown_ids_are_left_out(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "a"), _kept(store, "b")])
        assert set(results.load_many(["a", "nobody", "b", "a"])) == {"a", "b"}
        assert results.load_many([]) == {}

    def test_a_row_takes_only_a_higher_attempt(self, store: StoreHarness, results: ResultStore) -> None:
        for attempt, text in [(2, "first"), (2, "same"), (1, "lower"), (3, "higher")]:
            results.save_many([_kept(store, "job", attempt=attempt, result=f'"{text}"')])
            expected = "higher" if attempt == 3 else "first"
            assert results.load_many(["job"])["job"].result == f'"{expected}"'

    def test_a_batch_takes_what_it_can(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "old", attempt=5, result="1")])
        results.save_many([_kept(store, "new"), _kept(store, "old", attempt=4, result="2")])
        loaded = results.load_many(["old", "new"])
        assert (set(loaded), loaded["old"].result) == ({"old", "new"}, "1")

    def test_many_are_saved_and_loaded_at_once(self, store: StoreHarness, results: ResultStore) -> None:
        names = [f"job-{number}" for number in range(1500)]
        results.save_many([_kept(store, name) for name in names])
        assert set(results.load_many(names)) == set(names)
        results.save_many([])

    def test_names_that_differ_in_case_are_different(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "a"), _kept(store, "A")])
        assert set(results.load_many(["a"])) == {"a"}
        assert results.forget(["A"]) == 1
        assert set(results.load_many(["a", "A"])) == {"a"}

    def test_forgetting_counts_what_was_there(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "a"), _kept(store, "b"), _kept(store, "c")])
        assert results.forget(["a", "b", "nobody"]) == 2
        assert results.forget(["a"]) == 0
        assert results.forget([]) == 0
        assert set(results.load_many(["a", "b", "c"])) == {"c"}

    def test_pruning_takes_old_rows_of_the_named_statuses(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many(
            [
                _kept(store, "old", ago_seconds=200),
                _kept(store, "new", ago_seconds=20),
                _kept(store, "failed", ago_seconds=200, status=State.FAILED),
            ]
        )
        assert results.prune(statuses=[State.SUCCEEDED, State.EXPIRED], older_than_seconds=100) == 1
        assert set(results.load_many(["old", "new", "failed"])) == {"new", "failed"}
        assert results.prune(statuses=[], older_than_seconds=100) == 0

    def test_pruning_goes_by_the_stores_clock(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "job")])
        assert results.prune(statuses=[State.SUCCEEDED], older_than_seconds=100) == 0
        store.advance(101)
        assert results.prune(statuses=[State.SUCCEEDED], older_than_seconds=100) == 1

    def test_pruning_is_bounded(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, f"job-{number}", ago_seconds=200) for number in range(5)])
        taken = [results.prune(statuses=list(ENDED), older_than_seconds=100, limit=2) for _ in range(4)]
        assert taken == [2, 2, 1, 0]

    def test_old_successes_are_seen_page_by_page_each_once(self, store: StoreHarness, results: ResultStore) -> None:
        tasks = {f"job-{number}": f"{'long' * 60}.{number}" for number in range(7)}
        for number, (name, task) in enumerate(tasks.items()):
            results.save_many([_kept(store, name, ago_seconds=200 - 10 * number, task=task)])
        results.save_many([_kept(store, "new"), _kept(store, "failed", ago_seconds=200, status=State.FAILED)])
        seen: list[tuple[str, str]] = []
        place, more = "", True
        while more:
            page = results.old_successes(older_than_seconds=100, after=place, limit=2)
            seen += page.rows
            place, more = page.place, page.more
            assert len(seen) <= len(tasks)
        assert seen == list(tasks.items())
        assert results.old_successes(older_than_seconds=100, after=place).rows == ()
        store.advance(101)
        assert results.old_successes(older_than_seconds=100, after=place).rows == (("new", make_result("new").task),)

    def test_old_successes_of_one_instant_are_all_seen(self, store: StoreHarness, results: ResultStore) -> None:
        at_us = store.now_us() - 200_000_000
        results.save_many([make_result(f"job-{number}", finished_us=at_us) for number in range(5)])
        results.save_many([make_result("other", finished_us=at_us)])
        results.forget(["job-2"])
        seen: list[str] = []
        place, more = "", True
        while more:
            page = results.old_successes(older_than_seconds=100, after=place, limit=2)
            seen += [job_id for job_id, _ in page.rows]
            place, more = page.place, page.more
        assert sorted(seen) == ["job-0", "job-1", "job-3", "job-4", "other"]

    def test_a_wait_for_what_is_there_returns(self, store: StoreHarness, results: ResultStore) -> None:
        results.save_many([_kept(store, "a")])
        started = time.monotonic()
        results.wait(["nobody", "a"], 60)
        assert time.monotonic() - started < 30

    def test_a_wait_ends_after_its_time(self, results: ResultStore) -> None:
        started = time.monotonic()
        results.wait(["nobody"], 0.05)
        assert time.monotonic() - started < 30

    def test_a_result_ends_a_wait_in_time(self, store: StoreHarness, results: ResultStore) -> None:
        producer = threading.Thread(target=_save, args=(store, _kept(store, "job")))
        deadline = time.monotonic() + 60
        producer.start()
        while not results.load_many(["job"]) and time.monotonic() < deadline:
            results.wait(["job"], 1)
        producer.join(60)
        assert set(results.load_many(["job"])) == {"job"}


def _kept(store: StoreHarness, job_id: str, *, ago_seconds: float = 0, **fields: Any) -> StoredResult:
    return make_result(job_id, finished_us=store.now_us() - round(ago_seconds * 1_000_000), **fields)


def _save(store: StoreHarness, result: StoredResult) -> None:
    try:
        store.results().save_many([result])
    finally:
        store.leave_thread()
