"""The one road into a broker: everything that is enqueued, by whatever face, is built and sent here."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from django.db import DEFAULT_DB_ALIAS, transaction
from msgspec.structs import replace

from django_jobs.client.relay import DOWN_SECONDS, HOLD_SECONDS, Relay
from django_jobs.client.terms import Terms, plain_mapping
from django_jobs.connections import connections
from django_jobs.core.bounds import Bounds
from django_jobs.core.message import Message, encode_body, new_id
from django_jobs.core.serializer import to_plain
from django_jobs.exceptions import BrokerError, InvalidOption, PayloadTooLarge
from django_jobs.execution.around import around_jobs
from django_jobs.execution.carry import HEADER
from django_jobs.execution.context import current_job
from django_jobs.ports.broker import Broker
from django_jobs.signals import job_enqueued

logger = logging.getLogger("django_jobs.producer")

CHUNK: Final = 1000
"""Messages in one call of a broker; each call is atomic, two are not."""


def build(
    task: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    terms: Terms,
    *,
    max_payload_bytes: int,
    bounds: Bounds | None = None,
) -> Message:
    """Return the message of one call whose arguments fit the task; nothing is sent.

    Raises:
        SerializationError: a value that JSON cannot carry, with its path.
        PayloadTooLarge: the encoded body exceeds `max_payload_bytes`.
    """
    root_id, parent_id = lineage()
    headers = terms.headers
    if terms.carries and (carried := around_jobs(connections.policy).capture()):
        headers = {**headers, HEADER: plain_mapping(carried, "context")}
    body = encode_body(
        to_plain(args, "args") if args else (),
        plain_mapping(kwargs, "kwargs") if kwargs else {},
        options=terms.overrides,
        headers=headers,
        root_id=root_id,
        parent_id=parent_id,
        bounds=bounds,
    )
    # A character is at most four bytes, so that short bodies need no second look.
    if len(body) * 4 > max_payload_bytes and (size := len(body.encode())) > max_payload_bytes:
        raise PayloadTooLarge(_too_large(task, size, args, kwargs, max_payload_bytes))
    return Message(
        id=terms.job_id or new_id(),
        task=task,
        queue=terms.queue,
        body=body,
        priority=terms.priority,
        eta_us=terms.eta_us,
        delay_us=terms.delay_us,
        expires_us=terms.expires_us,
        expires_after_us=terms.expires_after_us,
        id_given=terms.job_id is not None,
        bounds=bounds,
    )


def lineage() -> tuple[str | None, str | None]:
    """Return (root id, parent id) of what is enqueued now: of the job that runs here, if one does."""
    parent = current_job()
    return (None, None) if parent is None else (parent.root_id or parent.id, parent.id)


def send(messages: Sequence[Message], *, on_commit: bool = True, using: str | None = None) -> None:
    """Hand `messages` to the broker, at most 1000 in a step.

    A broker in the caller's database takes them in inside the caller's transaction, on its own alias. Any other one
    gets them when the transaction that is open on `using` (default: "default") commits, and at once where none is open
    or `on_commit` is False. With OUTBOX they are written in that transaction, and sent by whoever comes first: this
    process after the commit, or a worker. A message whose id is live, or has ended within its mark's time, is no
    second job.

    Atomic: each step of 1000; all of them inside a transaction.

    Raises:
        InvalidOption: `on_commit` is False where the broker takes part in the open transaction.
        BrokerUnavailable: the broker cannot be reached. What has not been handed over is not queued.
        BrokerFull: no room.
    """
    broker = connections.broker
    alias = using or DEFAULT_DB_ALIAS
    if broker.in_transaction:
        if not on_commit and _in_atomic_block(broker.alias or DEFAULT_DB_ALIAS):
            raise InvalidOption(
                f"on_commit=False cannot send at once: the jobs are in the database {broker.alias!r}, and a "
                "transaction is open there, which they join. Enqueue outside of the transaction. Nothing was enqueued."
            )
        _hand_over(broker, messages)
    elif not on_commit:
        _hand_over(broker, messages)
    elif connections.policy.outbox and connections.outbox.alias == alias:
        _post(broker, messages)
    elif _in_atomic_block(alias):
        transaction.on_commit(partial(_hand_over_after_commit, broker, messages), using=alias)
    else:
        _hand_over(broker, messages)


def send_unique(messages: Sequence[Message], *, on_commit: bool = True, using: str | None = None) -> list[str]:
    """Do what `send` does; return for each message the id of the job that stands for it.

    That is its own, or that of the job which holds its unique key. Where the job is only sent after the commit, its own
    id comes back; if the key is held by then, no job has it.

    Raises:
        UniqueConflict: a key is held, and its task wants to know. Nothing was enqueued.
        InvalidOption, BrokerUnavailable, BrokerFull: as from `send`.
    """
    broker = connections.broker
    later = not broker.in_transaction and on_commit and (
        connections.policy.outbox or _in_atomic_block(using or DEFAULT_DB_ALIAS)
    )  # fmt: skip
    if later or (broker.in_transaction and not on_commit):
        send(messages, on_commit=on_commit, using=using)
        return [message.id for message in messages]
    ids: list[str] = []
    for start in range(0, len(messages), CHUNK):
        chunk = messages[start : start + CHUNK]
        taken = broker.enqueue_unique(chunk)
        _signal([message for message, answer in zip(chunk, taken, strict=True) if answer.is_new])
        ids += [answer.id for answer in taken]
    return ids


def _post(broker: Broker, messages: Sequence[Message]) -> None:
    """Write into the outbox, in the open transaction if there is one, and send after the commit."""
    outbox = connections.outbox
    outbox.add(messages, hold_seconds=HOLD_SECONDS)
    transaction.on_commit(partial(_relay, broker, messages), using=outbox.alias)


def _relay(broker: Broker, messages: Sequence[Message]) -> None:
    given = [replace(message, id_given=True) for message in messages]
    try:
        for start in range(0, len(given), CHUNK):
            Relay(connections.outbox, broker, session="").send(given[start : start + CHUNK])
    except BrokerError:  # it has been logged, and a worker sends them once the broker answers
        return
    _signal(messages)


def _hand_over_after_commit(broker: Broker, messages: Sequence[Message]) -> None:
    """Send what a commit has released; a broker that is down finds it in the outbox later."""
    try:
        _hand_over(broker, messages)
    except BrokerError as error:
        connections.outbox.add(messages, hold_seconds=DOWN_SECONDS)
        logger.warning("%d jobs wait in the outbox for the broker: %s", len(messages), error)


def send_tick(schedule: str, tick_us: int, message: Message) -> bool:
    """Hand the job of a tick to a broker outside of the schedules' database; say whether the broker took it in.

    Raises:
        BrokerUnavailable: it cannot be reached. Repeat the call: a tick is taken in once.
        BrokerFull: no room.
    """
    is_new = connections.broker.enqueue_tick(schedule, tick_us, message)
    if is_new and job_enqueued.receivers:
        job_enqueued.send_robust(sender=message.task, message=message)
    return is_new


def _in_atomic_block(alias: str) -> bool:
    return bool(transaction.get_connection(alias).in_atomic_block)


def _hand_over(broker: Broker, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), CHUNK):
        chunk = messages[start : start + CHUNK]
        taken_in = broker.enqueue_many(chunk)
        if job_enqueued.receivers:
            _signal([message for message, is_new in zip(chunk, taken_in, strict=True) if is_new])


def _signal(messages: Sequence[Message]) -> None:
    if job_enqueued.receivers:
        for message in messages:
            job_enqueued.send_robust(sender=message.task, message=message)


def _too_large(task: str, size: int, args: Sequence[Any], kwargs: Mapping[str, Any], limit: int) -> str:
    named = {f"args[{index}]": value for index, value in enumerate(args)} | {
        f"kwargs.{name}": value for name, value in kwargs.items()
    }
    sizes = {path: len(msgspec.json.encode(to_plain(value, path))) for path, value in named.items()}
    biggest = max(sizes, key=sizes.__getitem__, default="")
    detail = f"; the biggest argument is {biggest} with {sizes[biggest]:,}" if biggest else ""
    return (
        f"A job of {task} would take {size:,} bytes{detail}. MAX_PAYLOAD_BYTES is {limit:,}. Store the data and pass "
        "its primary key or file name, or raise the setting. Nothing was enqueued."
    )
