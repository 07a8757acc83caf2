"""Cases of the broker's contract: orders that people give to a living worker."""

from __future__ import annotations

import threading

from django_jobs.core.control import ORDERS_KEPT, Order, Standing, Verb
from django_jobs.core.session import SessionState
from django_jobs.ports.broker import Broker
from django_jobs.testing.child import make_session
from django_jobs.testing.contracts.base import BrokerCases
from django_jobs.testing.harness import StoreHarness


def make_order(order_id: str, verb: str = Verb.QUIET, value: int | None = None) -> Order:
    return Order(id=order_id, verb=verb, value=value)


class OrderCases(BrokerCases):
    """Orders stand beside the session, in the order in which they were given, for as long as it lives."""

    def test_orders_are_read_by_another_process_in_their_order(self, store: StoreHarness, broker: Broker) -> None:
        broker.open_session(make_session())
        first, second = make_order("a"), make_order("b", Verb.CONCURRENCY, 7)
        assert [broker.give_order("session-1", order) for order in (first, second)] == [1, 2]
        assert list(store.broker().orders_of("session-1", after=0)) == [Standing(1, first), Standing(2, second)]
        assert list(store.broker().orders_of("session-1", after=1)) == [Standing(2, second)]
        assert list(store.broker().orders_of("session-1", after=2)) == []

    def test_a_repeated_order_is_one_order(self, broker: Broker) -> None:
        broker.open_session(make_session())
        assert [broker.give_order("session-1", make_order(order_id)) for order_id in "abab"] == [1, 2, 1, 2]
        assert [standing.order.id for standing in broker.orders_of("session-1", after=0)] == ["a", "b"]

    def test_an_order_is_for_one_session_only(self, broker: Broker) -> None:
        for session in ("session-1", "session-2"):
            broker.open_session(make_session(session))
        broker.give_order("session-1", make_order("a"))
        assert list(broker.orders_of("session-2", after=0)) == []
        assert broker.give_order("session-2", make_order("b")) == 1

    def test_who_does_not_live_takes_no_orders(self, store: StoreHarness, broker: Broker) -> None:
        assert broker.give_order("nobody", make_order("a")) == 0
        broker.open_session(make_session())
        broker.give_order("session-1", make_order("a"))
        store.advance(60)
        broker.rescue(timeout_seconds=30, max_crashes=3, at_most_once=())
        assert broker.give_order("session-1", make_order("b")) == 0
        assert list(broker.orders_of("session-1", after=0)) == []
        assert list(broker.orders_of("nobody", after=0)) == []

    def test_a_closed_session_takes_its_orders_along(self, broker: Broker) -> None:
        broker.open_session(make_session())
        broker.give_order("session-1", make_order("a"))
        broker.close_session("session-1")
        assert list(broker.orders_of("session-1", after=0)) == []
        assert broker.give_order("session-1", make_order("b")) == 0

    def test_a_renewal_keeps_orders_and_a_quiet_session_is_seen_as_such(self, broker: Broker) -> None:
        broker.open_session(make_session())
        broker.give_order("session-1", make_order("a"))
        assert broker.renew(make_session(state=SessionState.QUIET)).alive
        broker.open_session(make_session())
        broker.renew(make_session(state=SessionState.QUIET))
        assert [session.state for session in broker.sessions()] == [SessionState.QUIET]
        assert [standing.number for standing in broker.orders_of("session-1", after=0)] == [1]

    def test_the_last_ones_are_kept_and_numbers_go_on(self, broker: Broker) -> None:
        broker.open_session(make_session())
        given = [broker.give_order("session-1", make_order(f"o{number}")) for number in range(ORDERS_KEPT + 5)]
        assert given == list(range(1, ORDERS_KEPT + 6))
        kept = broker.orders_of("session-1", after=0)
        assert [standing.number for standing in kept] == given[-ORDERS_KEPT:]

    def test_several_givers_lose_none(self, store: StoreHarness, broker: Broker) -> None:
        broker.open_session(make_session())
        numbers: list[int] = []

        def give(giver: int) -> None:
            other = store.broker()
            try:
                numbers.extend(other.give_order("session-1", make_order(f"{giver}-{turn}")) for turn in range(4))
            finally:
                other.close()
                store.leave_thread()

        threads = [threading.Thread(target=give, args=(giver,)) for giver in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 17))
        assert len({standing.order.id for standing in broker.orders_of("session-1", after=0)}) == 16
