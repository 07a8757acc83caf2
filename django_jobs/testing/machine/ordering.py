"""Rules of the state machine for people who give orders to workers, dead ones among them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from django_jobs.core.control import Order, Verb
from django_jobs.testing.machine.keeping import workers
from django_jobs.testing.machine.state import MachineState


class OrderingRules(MachineState):
    """Orders; few ids, so that some are given twice."""

    @precondition(lambda self: self.model.lives)
    @rule(worker=workers, order_id=st.sampled_from("abc"))
    def order(self, worker: int, order_id: str) -> None:
        session = self.sessions[worker]
        number, ids = self.model.order(session, order_id)
        assert self.people.give_order(session, Order(id=order_id, verb=Verb.QUIET)) == number
        assert [standing.order.id for standing in self.people.orders_of(session, after=0)] == ids
