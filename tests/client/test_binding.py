"""Unique jobs as a project asks for them: whose key is whose, and what comes back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from django_jobs import InvalidArguments, InvalidOption, InvalidOptions, ResultError, State, UniqueConflict
from django_jobs.core.bounds import KEY_MAX_LENGTH, Limit, bounds_of, key_text
from django_jobs.core.message import Message
from django_jobs.signals import job_enqueued
from tests.client.conftest import Declare, Stores


def send(to: str, size: int = 1, *, note: Any = None) -> str:
    return to


def by_name(to: str, size: int = 1, *, note: Any = None) -> str | None:
    return None if size > 100 else to.lower()


class TestKeys:
    def test_equal_arguments_are_one_job_however_they_are_given(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True)
        first = task.delay("ann", note={"a": 1, "b": Decimal(2)})
        same = [
            task.delay("ann", 1, note={"b": Decimal(2), "a": 1}),
            task.delay(to="ann", size=1, note={"a": 1, "b": Decimal(2)}),
            task.apply_async(("ann",), {"note": {"a": 1, "b": Decimal(2)}}, countdown=5, queue="other"),
        ]
        assert [result.id for result in same] == [first.id] * 3
        others = [task.delay("bob"), task.delay("ann"), task.delay("ann", note=1), task.delay("ann", note="1")]
        assert len({first.id, *(result.id for result in others)}) == 5

    def test_tasks_do_not_share_keys(self, stores: Stores, declare: Declare) -> None:
        one, other = declare(send, name="tests.one", unique=True), declare(send, name="tests.other", unique=True)
        assert one.delay("ann").id != other.delay("ann").id
        assert one.apply_async(("a",), unique_key="k").id != other.apply_async(("a",), unique_key="k").id

    def test_a_function_makes_the_key(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=by_name)
        first = task.delay("Ann", 1)
        assert task.delay("ann", 2).id == first.id
        assert task.delay("bob").id != first.id
        free = [task.delay("ann", 101).id, task.delay("ann", 101).id]
        assert len({first.id, *free}) == 3

    def test_a_call_may_name_its_key_whatever_the_task_says(self, stores: Stores, declare: Declare) -> None:
        plain, unique = declare(send, name="tests.plain"), declare(send, name="tests.unique", unique=True)
        for task in (plain, unique):
            first = task.apply_async(("ann",), unique_key="daily")
            assert task.apply_async(("bob",), unique_key="daily").id == first.id
            assert task.using(unique_key="daily").delay("eve").id == first.id
            assert task.delay("ann").id != first.id
            assert task.apply_async(("ann",), unique_key=None).id != first.id

    def test_a_job_with_a_key_of_its_own_runs_as_any_other(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True)
        result = task.delay("ann")
        assert stores.finish(result='"ann"') == result.id
        assert result.get(timeout=1) == "ann"
        assert task.delay("ann").id != result.id

    @pytest.mark.parametrize("value", [1.5, True, ("a",), b"k", object()])
    def test_other_keys_are_refused(self, stores: Stores, declare: Declare, value: Any) -> None:
        task = declare(send, unique=lambda to, size=1, note=None: value)
        with pytest.raises(InvalidArguments, match=r"unique=.*a key is a text.*Nothing was enqueued"):
            task.delay("ann")
        assert stores.broker.list() == []

    def test_a_key_function_that_raises_fails_the_call(self, stores: Stores, declare: Declare) -> None:
        def broken(to: str, size: int = 1, *, note: Any = None) -> str:
            raise KeyError(to)

        task = declare(send, unique=broken)
        with pytest.raises(InvalidArguments, match="KeyError: 'ann'") as caught:
            task.delay("ann")
        assert isinstance(caught.value.__cause__, KeyError)
        assert stores.broker.list() == []

    def test_a_key_fits_every_store(self) -> None:
        keys = ["a" * 500, "a" * 501, "tab\t", "line\n", "blank ", "nul\0", "\ud800", "\ud801", UUID(int=7), 7, -7]
        made = [key_text("shop.mail", key) for key in keys]
        assert len(set(made)) == len(keys)
        assert all(len(text) <= KEY_MAX_LENGTH and text.isprintable() and text == text.strip() for text in made)
        assert key_text("t", 7) == key_text("t", "7")


class TestConflicts:
    def test_raise_tells_the_holder(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True, unique_conflict="raise")
        first = task.delay("ann")
        with pytest.raises(UniqueConflict, match=first.id) as caught:
            task.delay("ann")
        assert caught.value.job_id == first.id

    def test_replace_ends_the_waiting_job(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=by_name, unique_conflict="replace")
        first = task.delay("ann", 1)
        second = task.delay("ann", 2)
        assert (first.status, second.status) == (State.CANCELLED, State.QUEUED)

    def test_a_retry_of_a_job_whose_key_is_held_is_refused(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True)
        first = task.delay("ann")
        stores.fail()
        second = task.delay("ann")
        with pytest.raises(ResultError, match="another job holds its unique key"):
            first.retry()
        assert stores.finish() == second.id
        first.retry()
        assert first.status is State.QUEUED

    def test_many_calls_answer_one_by_one(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True)
        ids = [result.id for result in task.delay_many([((name,), {}) for name in ("a", "b", "a")])]
        assert ids[0] == ids[2] != ids[1]
        assert len(stores.broker.list()) == 2

    def test_the_signal_tells_new_jobs_only(self, stores: Stores, declare: Declare) -> None:
        seen: list[str] = []

        def note(sender: str, message: Message, **kwargs: Any) -> None:
            seen.append(message.id)

        task = declare(send, unique=True)
        job_enqueued.connect(note)
        try:
            first = task.delay("ann")
            task.delay("ann")
        finally:
            job_enqueued.disconnect(note)
        assert seen == [first.id]

    def test_until_and_for_reach_the_broker(self, stores: Stores, declare: Declare) -> None:
        declare(send, name="tests.start", unique=True, unique_until="start").delay("ann")
        declare(send, name="tests.time", unique=True, unique_for=90).delay("ann")
        bounds = {view.task: bounds_of(view.body) for view in stores.broker.list()}
        made = {task: found.unique for task, found in bounds.items() if found is not None}
        assert made["tests.start"] is not None
        assert (made["tests.start"].until_start, made["tests.start"].for_us) == (True, None)
        assert made["tests.time"] is not None
        assert (made["tests.time"].until_start, made["tests.time"].for_us) == (False, 90_000_000)


class TestLimits:
    def limit_of(self, stores: Stores) -> list[Limit | None]:
        found = [bounds_of(view.body) for view in stores.broker.list()]
        return [bounds.limit if bounds else None for bounds in found]

    def test_a_task_is_its_own_key(self, stores: Stores, declare: Declare) -> None:
        declare(send, concurrency=3, rate_limit="10/s:2").delay("ann")
        assert self.limit_of(stores) == [Limit(key="tests.send", slots=3, period_us=100_000, burst=2)]

    @pytest.mark.parametrize("option", ["concurrency_key", "rate_key"])
    def test_a_key_is_made_of_the_arguments(self, stores: Stores, declare: Declare, option: str) -> None:
        limit = {"concurrency": 2} if option == "concurrency_key" else {"rate_limit": "100/m"}
        task = declare(send, **{option: by_name}, **limit)
        for to, size in (("Ann", 1), ("bob", 1), ("bob", 101)):
            task.delay(to, size)
        keys = [limit.key if limit else None for limit in self.limit_of(stores)]
        assert keys == ["tests.send:ann", "tests.send:bob", None]

    def test_a_key_function_that_raises_fails_the_call(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, concurrency=1, concurrency_key=lambda to, **others: to.nothing)
        with pytest.raises(InvalidArguments, match=r"concurrency_key=.*AttributeError.*Nothing was enqueued"):
            task.delay("ann")
        assert stores.broker.list() == []

    def test_a_limited_job_runs(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, concurrency=1)
        first, second = task.delay("ann"), task.delay("bob")
        claim = stores.claim()
        assert (first.status, second.status) == (State.RUNNING, State.QUEUED)
        stores.settle(claim, result='"ann"')
        assert stores.finish(result='"bob"') == second.id


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"unique": "to"}, "a function that takes the task's arguments"),
            ({"unique_until": "end"}, "one of 'finished', 'start'"),
            ({"unique_for": 0}, "more than 0 seconds"),
            ({"unique_for": -1}, "0 or more"),
            ({"unique_conflict": "ignore"}, "one of 'existing', 'replace', 'raise'"),
            ({"unique": True, "unique_until": "start", "unique_for": 5}, "Keep one"),
            ({"concurrency": 0}, "1 or more"),
            ({"concurrency": True}, "1 or more"),
            ({"concurrency": "3"}, "1 or more"),
            ({"concurrency": 3, "concurrency_key": "to"}, "a function that takes the task's arguments"),
            ({"concurrency_key": by_name}, "Add concurrency"),
            ({"concurrency": 3, "rate_key": by_name}, "Add rate_limit"),
            ({"rate_limit": "fast"}, "a rate is a text as"),
            ({"rate_limit": "0/s"}, "a rate is a text as"),
            (
                {"concurrency": 3, "concurrency_key": by_name, "rate_limit": "1/s", "rate_key": send},
                "different functions",
            ),
        ],
    )
    def test_an_option_that_cannot_be_is_refused(self, declare: Declare, options: Any, text: str) -> None:
        with pytest.raises(InvalidOptions, match=text):
            declare(send, **options)

    @pytest.mark.parametrize("key", ["", 5, b"x"])
    def test_a_key_of_a_call_is_a_text(self, stores: Stores, declare: Declare, key: Any) -> None:
        with pytest.raises(InvalidOption, match=r"unique_key=.*Nothing was enqueued"):
            declare(send).apply_async(("ann",), unique_key=key)

    def test_a_default_for_all_tasks_is_checked_with_the_tasks_own(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, unique=True, unique_until="start")
        with override_settings(DJANGO_JOBS={"TASK_DEFAULTS": {"unique_for": 5}}), pytest.raises(InvalidOptions):
            task.delay("ann")
