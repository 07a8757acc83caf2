"""The outbox of the database, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections, transaction

from django_jobs.backends.database import DatabaseBroker, DatabaseOutbox
from django_jobs.core.policy import Policy
from django_jobs.testing.child import make_message


@pytest.fixture
def outbox(database_alias: str) -> Iterator[DatabaseOutbox]:
    with connections[database_alias].cursor() as cursor:
        cursor.execute("DELETE FROM django_jobs_outboxmessage")
    yield DatabaseOutbox(Policy(database=database_alias))
    with connections[database_alias].cursor() as cursor:
        cursor.execute("DELETE FROM django_jobs_outboxmessage")


def take(outbox: DatabaseOutbox, session: str = "s", limit: int = 10) -> list[str]:
    return sorted(message.id for message in outbox.take(session=session, limit=limit, hold_seconds=10))


def test_a_message_comes_out_as_it_went_in_with_absolute_times(outbox: DatabaseOutbox) -> None:
    message = make_message("job", priority=3, delay_us=60_000_000, expires_after_us=90_000_000)
    outbox.add([message], hold_seconds=0)
    (found,) = outbox.take(session="s", limit=10, hold_seconds=10)
    assert (found.id, found.task, found.queue, found.body, found.priority) == (
        "job",
        message.task,
        message.queue,
        message.body,
        3,
    )
    assert found.id_given, "its id is known before it is sent: a second sending must be told from a new job"
    assert (found.delay_us, found.expires_after_us) == (None, None)
    assert found.eta_us is not None
    assert found.expires_us == found.eta_us + 30_000_000


def test_a_rolled_back_message_was_never_there(outbox: DatabaseOutbox, database_alias: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=database_alias):
        outbox.add([make_message()], hold_seconds=0)
        raise ZeroDivisionError
    assert outbox.waiting() == 0


def test_what_is_held_is_not_taken(outbox: DatabaseOutbox) -> None:
    outbox.add([make_message("held")], hold_seconds=30)
    outbox.add([make_message("free")], hold_seconds=0)
    assert take(outbox) == ["free"]


def test_what_is_taken_is_not_taken_again_before_its_time(outbox: DatabaseOutbox, database_alias: str) -> None:
    outbox.add([make_message("a"), make_message("b")], hold_seconds=0)
    assert take(outbox, limit=1) + take(outbox, "other", limit=5) == ["a", "b"]
    assert take(outbox) == []
    clock = DatabaseBroker(Policy(database=database_alias))
    clock.shift_clock(11)
    try:
        assert take(outbox, "other") == ["a", "b"], "a relay that dies holds nothing up"
    finally:
        clock.shift_clock(-11)


def test_what_is_struck_is_gone(outbox: DatabaseOutbox) -> None:
    outbox.add([make_message("a"), make_message("b")], hold_seconds=0)
    assert outbox.strike(["a", "nobody"]) == 1
    assert outbox.strike([]) == 0
    assert take(outbox) == ["b"]


def test_the_same_id_twice_is_one_message(outbox: DatabaseOutbox) -> None:
    outbox.add([make_message("a", priority=1)], hold_seconds=0)
    outbox.add([make_message("a", priority=2)], hold_seconds=0)
    (found,) = outbox.take(session="s", limit=10, hold_seconds=10)
    assert found.priority == 1


def test_what_is_postponed_waits(outbox: DatabaseOutbox) -> None:
    outbox.add([make_message("a"), make_message("b")], hold_seconds=0)
    outbox.postpone(["a"], seconds=60, error="refused")
    assert take(outbox) == ["b"]
    assert outbox.waiting() == 2


def test_an_outbox_of_ones_own_sees_the_same_messages(outbox: DatabaseOutbox) -> None:
    outbox.add([make_message("a")], hold_seconds=0)
    own = outbox.own()
    try:
        assert take(own) == ["a"]
    finally:
        own.close()
