"""Building messages and handing them over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction

from django_jobs import InvalidOption, PayloadTooLarge, SerializationError, current_job
from django_jobs.client import producer
from django_jobs.client.terms import Terms
from django_jobs.core.message import Message, decode_body, new_id
from django_jobs.execution.context import Request, reset_current, set_current
from django_jobs.signals import job_enqueued
from tests.client.conftest import Stores

TERMS = Terms(queue="default", priority=0)


def build(*args: Any, terms: Terms = TERMS, max_payload_bytes: int = 262_144, **kwargs: Any) -> Message:
    return producer.build("tests.task", args, kwargs, terms, max_payload_bytes=max_payload_bytes)


def test_a_message_says_what_was_agreed() -> None:
    terms = Terms(
        queue="mail",
        priority=5,
        delay_us=1,
        expires_us=2,
        job_id="mine",
        headers={"h": 1},
        overrides={"max_retries": 0},
    )
    message = build(1, terms=terms, b=2)
    assert (message.id, message.id_given, message.task) == ("mine", True, "tests.task")
    assert (message.queue, message.priority) == ("mail", 5)
    assert (message.delay_us, message.expires_us) == (1, 2)
    assert (message.eta_us, message.expires_after_us) == (None, None)
    body = decode_body(message.body)
    assert (body.args, body.kwargs, body.headers, body.options) == ((1,), {"b": 2}, {"h": 1}, {"max_retries": 0})
    assert (body.root_id, body.parent_id) == (None, None)


def test_ids_that_are_made_are_not_given() -> None:
    first, second = build(), build()
    assert first.id < second.id
    assert not first.id_given


def test_a_job_enqueued_by_a_job_knows_its_parent_and_root() -> None:
    token = set_current(Request(id="child", task="t", root_id="root"))
    try:
        body = decode_body(build().body)
    finally:
        reset_current(token)
    assert (body.parent_id, body.root_id) == ("child", "root")
    token = set_current(Request(id="first", task="t"))
    try:
        body = decode_body(build().body)
    finally:
        reset_current(token)
    assert (body.parent_id, body.root_id) == ("first", "first")


@pytest.mark.parametrize(
    ("args", "kwargs", "path"),
    [
        ((1, object()), {}, r"args\[1\]"),
        ((), {"user": {"created": [1, {2}]}}, r"kwargs\.user\.created\[1\]"),
        ((float("nan"),), {}, r"args\[0\] is nan"),
        ((2**63,), {}, r"args\[0\] is an integer past 64 bit"),
        (({1: 2},), {}, r"args\[0\] has the key 1"),
        ((), {"\ud800": 1}, r"kwargs \(a key\) holds a lone surrogate"),
        (("\ud800",), {}, r"args\[0\] holds a lone surrogate"),
    ],
)
def test_what_json_cannot_carry_is_named_by_its_path(args: tuple[Any, ...], kwargs: dict[str, Any], path: str) -> None:
    with pytest.raises(SerializationError, match=path):
        producer.build("tests.task", args, kwargs, TERMS, max_payload_bytes=1000)


def test_a_payload_over_the_limit_says_its_size_and_the_biggest_argument() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        build("x" * 10, terms=TERMS, max_payload_bytes=2000, report="y" * 3000)
    text = str(caught.value)
    assert "the biggest argument is kwargs.report with 3,002" in text
    assert "MAX_PAYLOAD_BYTES is 2,000" in text


def test_the_limit_counts_bytes_not_characters() -> None:
    room = 1000 - len(build("").body)
    assert len(build("x" * room, max_payload_bytes=1000).body) == 1000
    with pytest.raises(PayloadTooLarge):
        build("x" * (room + 1), max_payload_bytes=1000)
    with pytest.raises(PayloadTooLarge):
        build("\N{EURO SIGN}" * (room // 3 + 1), max_payload_bytes=1000)


def test_headers_count_too() -> None:
    with pytest.raises(PayloadTooLarge):
        build(terms=Terms(queue="q", priority=0, headers={"h": "x" * 2000}), max_payload_bytes=1000)


def messages(count: int) -> list[Message]:
    return [Message(id=new_id(), task="tests.task", queue="default", body="{}") for _ in range(count)]


def test_more_than_a_thousand_messages_go_in_steps(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    take_in = stores.broker.enqueue_many

    def note_and_take_in(chunk: Sequence[Message]) -> list[bool]:
        sizes.append(len(chunk))
        return take_in(chunk)

    monkeypatch.setattr(stores.broker, "enqueue_many", note_and_take_in)
    producer.send(messages(2001))
    assert sizes == [1000, 1000, 1]
    assert len(stores.broker.list(limit=3000)) == 2001


def test_the_signal_is_sent_once_for_each_new_job_and_a_bad_receiver_changes_nothing(stores: Stores) -> None:
    heard: list[tuple[str, str]] = []

    def receiver(sender: str, message: Message, **_: Any) -> None:
        heard.append((sender, message.id))
        raise RuntimeError("a receiver of somebody's own")

    job_enqueued.connect(receiver)
    try:
        message = messages(1)[0]
        producer.send([message])
        producer.send([message])
    finally:
        job_enqueued.disconnect(receiver)
    assert heard == [("tests.task", message.id)]


@pytest.mark.django_db(transaction=True)
def test_a_broker_elsewhere_gets_the_job_when_the_transaction_commits(stores: Stores) -> None:
    with transaction.atomic():
        producer.send(messages(1))
        assert stores.broker.list() == []
    assert len(stores.broker.list()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_broker_elsewhere_never_hears_of_what_was_rolled_back(stores: Stores) -> None:
    with transaction.atomic():
        producer.send(messages(1))
        transaction.set_rollback(True)
    assert stores.broker.list() == []


@pytest.mark.django_db(transaction=True)
def test_on_commit_false_sends_at_once(stores: Stores) -> None:
    with transaction.atomic():
        producer.send(messages(1), on_commit=False)
        assert len(stores.broker.list()) == 1
        transaction.set_rollback(True)
    assert len(stores.broker.list()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_database_broker_joins_the_transaction() -> None:
    from django_jobs.connections import connections

    message = messages(1)[0]
    with transaction.atomic():
        producer.send([message])
        assert list(connections.broker.state_of([message.id])) == [message.id]
        transaction.set_rollback(True)
    assert connections.broker.state_of([message.id]) == {}
    with transaction.atomic():
        producer.send([message])
    assert list(connections.broker.state_of([message.id])) == [message.id]


@pytest.mark.django_db(transaction=True)
def test_the_database_broker_cannot_send_at_once_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(InvalidOption, match="on_commit=False cannot send at once"):
        producer.send(messages(1), on_commit=False)


def test_nothing_is_current_outside_of_a_job() -> None:
    assert current_job() is None
    assert producer.lineage() == (None, None)
    assert asyncio.run(_lineage()) == (None, None)


async def _lineage() -> tuple[str | None, str | None]:
    return producer.lineage()
