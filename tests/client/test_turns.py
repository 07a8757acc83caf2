"""`fair_key` as a project gives it: by a text, a function, a call, or the queue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from django_jobs import AsyncResult, InvalidArguments, InvalidOption, InvalidOptions
from django_jobs.conf import read
from django_jobs.connections import connections
from django_jobs.core.bounds import KEY_MAX_LENGTH, bounds_of
from tests.client.conftest import Declare, Stores


def send(shop: Any, to: str = "ann", *, kind: str | None = "mail", **more: Any) -> None: ...


def keys(*results: AsyncResult[Any]) -> list[str | None]:
    """Return the keys of jobs that wait."""
    views = connections.broker.state_of([result.id for result in results])
    bounds = [bounds_of(views[result.id].body) for result in results]
    return [None if found is None else found.fair for found in bounds]


class TestKeys:
    def test_a_text_names_arguments(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key="{shop}")
        made = keys(task.delay(7), task.delay(shop=7, to="bob"), task.delay("x"), task.delay(UUID(int=1)))
        assert made == ["7", "7", "x", str(UUID(int=1))]

    def test_a_text_may_name_several_with_defaults_and_by_name(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key="{shop}:{kind}:{region}")
        assert keys(task.delay(7, region="eu"), task.delay(7)) == ["7:mail:eu", None]

    def test_an_argument_that_is_none_gives_no_key(self, stores: Stores, declare: Declare) -> None:
        assert keys(declare(send, fair_key="{kind}").delay(7, kind=None)) == [None]

    def test_a_function_makes_the_key(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key=lambda shop, *args, **kwargs: None if shop == 1 else shop % 3)
        assert keys(task.delay(1), task.delay(2), task.delay(5)) == [None, "2", "2"]

    def test_a_call_may_name_its_key_whatever_the_task_says(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key="{shop}")
        made = keys(
            task.apply_async((7,), fair_key="vip"),
            task.using(fair_key=9).delay(7),
            task.apply_async((7,), fair_key=None),
        )
        assert made == ["vip", "9", "7"]

    def test_tasks_share_keys(self, stores: Stores, declare: Declare) -> None:
        one, other = (declare(send, name=f"tests.{name}", fair_key="{shop}") for name in ("one", "other"))
        assert keys(one.delay(7)) == keys(other.delay(7)) == ["7"]

    def test_a_long_key_is_a_digest_that_stays_apart(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key="{shop}")
        made = keys(task.delay("x" * 300), task.delay("x" * 301), task.delay("a\nb"), task.delay("a "))
        assert len(set(made)) == 4
        assert all(key is not None and len(key) <= KEY_MAX_LENGTH and key.isprintable() for key in made)


class TestQueues:
    def test_a_queue_gives_keys_to_those_without(self, stores: Stores, declare: Declare, settings: Any) -> None:
        plain, own = declare(send, name="tests.plain"), declare(send, name="tests.own", fair_key="{kind}")
        bare = declare(lambda: None, name="tests.bare")
        settings.DJANGO_JOBS = {"QUEUES": {"default": {"fair_key": "{shop}"}}}
        connections.use(stores.broker, stores.results)
        made = keys(plain.delay(7), own.delay(7), own.delay(7, kind=None), bare.delay())
        elsewhere = keys(plain.apply_async((7,), queue="other"), own.apply_async((7,), queue="other"))
        assert made == ["7", "mail", "", ""]
        assert elsewhere == [None, "mail"]

    def test_task_defaults_may_give_one(self, stores: Stores, declare: Declare, settings: Any) -> None:
        settings.DJANGO_JOBS = {"TASK_DEFAULTS": {"fair_key": "{shop}"}}
        connections.use(stores.broker, stores.results)
        assert keys(declare(send).delay(7)) == ["7"]

    @pytest.mark.parametrize("value", [7, "{shop.id}", "{}", "{shop!r}", "{shop:>3}", "{0}", "{"])
    def test_a_wrong_text_is_told(self, value: Any) -> None:
        _, wrong = read({"QUEUES": {"mail": {"fair_key": value}}})
        assert any("queue 'mail', fair_key" in told for told in wrong)


class TestMistakes:
    @pytest.mark.parametrize("value", [7, "{shop.id}", "{}", "{shop!r}", "{", "{nobody}"])
    def test_an_option_that_cannot_be_is_refused_where_it_is_declared(self, declare: Declare, value: Any) -> None:
        def strict(shop: int) -> None: ...

        with pytest.raises(InvalidOptions, match="fair_key"):
            declare(strict, fair_key=value)

    def test_a_key_that_is_none_is_refused_in_the_caller(self, stores: Stores, declare: Declare) -> None:
        task = declare(send, fair_key="{shop}")
        wrong: Any = 1.5
        with pytest.raises(
            InvalidArguments, match=r"fair_key.*shop: a key is a text, a whole number or a UUID, not float"
        ):
            task.delay(1.5)
        with pytest.raises(InvalidOption, match=r"fair_key=1\.5"):
            task.apply_async((1,), fair_key=wrong)
        assert connections.broker.stats() == []
