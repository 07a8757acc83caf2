"""Messages: their bodies, their ids, and text that is no message of ours."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import RFC_4122, UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.core.message import (
    FORMAT_VERSION,
    ID_PATTERN,
    QUEUE_PATTERN,
    Message,
    decode_body,
    encode_body,
    new_id,
)
from django_jobs.exceptions import InvalidMessage
from django_jobs.testing.strategies import plain_values, texts

objects = st.dictionaries(texts, plain_values, max_size=4)


@given(args=st.lists(plain_values, max_size=4), kwargs=objects, options=objects, headers=objects, parent=texts)
def test_a_body_comes_out_as_it_went_in(
    args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], headers: dict[str, Any], parent: str
) -> None:
    body = decode_body(encode_body(args, kwargs, options=options, headers=headers, root_id="root", parent_id=parent))
    assert (list(body.args), body.kwargs, body.options, body.headers) == (args, kwargs, options, headers)
    assert (body.v, body.root_id, body.parent_id) == (FORMAT_VERSION, "root", parent)


def test_what_a_call_leaves_out_is_not_stored() -> None:
    assert encode_body([], {}) == '{"v":1}'
    assert json.loads(encode_body([1], {})) == {"v": 1, "args": [1]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"v":1',
        '{"v":"1"}',
        '{"v":1,"args":{}}',
        '{"v":1,"args":null}',
        '{"v":1,"kwargs":[]}',
        '{"v":1,"kwargs":{"a":NaN}}',
        '{"v":1,"args":["\ud800"]}',
        '{"v":1,"args":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_no_body_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="not readable"):
        decode_body(text)


@pytest.mark.parametrize("version", [0, 2, -1, 10**30])
def test_another_format_is_refused_with_the_way_out(version: int) -> None:
    with pytest.raises(InvalidMessage):
        decode_body(json.dumps({"v": version}))


def test_the_next_format_asks_for_a_newer_worker() -> None:
    with pytest.raises(InvalidMessage, match=r"format version 2; this worker reads \[1\]. Update the worker"):
        decode_body('{"v":2}')


def test_a_later_producers_fields_do_not_stop_this_worker() -> None:
    assert decode_body('{"v":1,"args":[1],"invented_later":{"a":1}}').args == (1,)


def test_ids_of_one_process_grow_and_never_repeat() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))


def test_ids_grow_though_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert new_id() > before


def test_an_id_is_a_uuid_of_version_7_and_fits() -> None:
    job_id = new_id()
    uuid = UUID(job_id)
    assert (uuid.version, uuid.variant, str(uuid)) == (7, RFC_4122, job_id)
    assert ID_PATTERN.match(job_id)


@pytest.mark.parametrize("name", ["a", "A-z.0:9_", "x" * 64])
def test_what_an_id_looks_like(name: str) -> None:
    assert ID_PATTERN.match(name)
    assert QUEUE_PATTERN.match(name)


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "ä", "a\n", "\na", "a\0", "{a}", "x" * 129])
def test_what_no_id_and_no_queue_looks_like(name: str) -> None:
    assert not ID_PATTERN.match(name)
    assert not QUEUE_PATTERN.match(name)


def test_a_queue_may_be_longer_than_an_id() -> None:
    assert QUEUE_PATTERN.match("x" * 128)
    assert not ID_PATTERN.match("x" * 65)


def test_a_message_cannot_be_changed() -> None:
    message = Message(id="a", task="t", queue="q", body="{}")
    with pytest.raises(AttributeError):
        message.queue = "other"  # type: ignore[misc]  # what is tested
    assert msgspec.structs.replace(message, queue="other").queue == "other"
