"""What code can tell living workers: be quiet, go on, stop, have so many children, say what you do."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from django_jobs.connections import connections
from django_jobs.core.control import Answer, Order, Verb
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.ports.broker import Broker

ANSWER_SECONDS: Final = 15.0
"""A worker looks once a second; one that is cut off from its broker looks when it is back."""
LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswer:
    """What became of an order to one worker."""

    worker: WorkerHandle
    done: bool | None
    """Whether the worker has done it (True) or refused it (False); None where it has not answered in time."""
    text: str
    """In words; of `stacks` the stacks, from the second line on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHandle:
    """One life of one worker, as it was seen last. Orders that it has not read are gone when that life ends."""

    session: str
    name: str
    host: str
    pid: int
    state: SessionState
    started_us: int
    """When this life began, by the broker's clock: microseconds since 1970."""
    renewed_us: int
    """When it renewed its session last."""
    details: Mapping[str, Any]

    @property
    def is_alive(self) -> bool:
        """Whether nobody has declared it dead, or seen it end."""
        return self.state is not SessionState.DEAD

    @property
    def running(self) -> int:
        """How many jobs ran in it when it renewed its session last; 0 of a dead one."""
        children = self.details.get("children") if self.is_alive else ()
        return sum(child["running"] for child in children or () if isinstance(child, dict) and "running" in child)

    def quiet(self, *, timeout: float = ANSWER_SECONDS) -> OrderAnswer:
        """Have it claim nothing more; what runs ends, and the worker stays. `timeout` is in seconds, for the answer."""
        return self._tell(Verb.QUIET, timeout)

    def resume(self, *, timeout: float = ANSWER_SECONDS) -> OrderAnswer:
        """Have it claim again."""
        return self._tell(Verb.RESUME, timeout)

    def stop(self, *, timeout: float = ANSWER_SECONDS) -> OrderAnswer:
        """Have it stop as by SIGTERM; the answer comes when it begins to."""
        return self._tell(Verb.STOP, timeout)

    def set_concurrency(self, children: int, *, timeout: float = ANSWER_SECONDS) -> OrderAnswer:
        """Have it run so many children; none is ended while it runs a job."""
        return self._tell(Verb.CONCURRENCY, timeout, children)

    def stacks(self, *, timeout: float = ANSWER_SECONDS) -> OrderAnswer:
        """Have it say where all threads of its processes are, and what runs for how long; 64 KiB at most."""
        return self._tell(Verb.STACKS, timeout)

    def _tell(self, verb: Verb, timeout: float, value: int | None = None) -> OrderAnswer:
        [answer] = tell_workers([self], verb, value=value, timeout=timeout)
        return answer


def workers() -> list[WorkerHandle]:
    """Return every worker that the broker knows, oldest first; one that has died is known for a day.

    Raises:
        BrokerUnavailable: the broker cannot be reached.
    """
    return [_handle(session) for session in connections.broker.sessions()]


def tell_workers(
    chosen: Sequence[WorkerHandle], verb: Verb, *, value: int | None = None, timeout: float = ANSWER_SECONDS
) -> list[OrderAnswer]:
    """Give each of the workers one order, all at once; return what they say within `timeout` seconds.

    Raises:
        BrokerUnavailable: the broker cannot be reached; some may have their orders.
    """
    broker = connections.broker
    orders = {handle.session: Order(id=uuid.uuid4().hex, verb=verb, value=value) for handle in chosen}
    missing = {session for session, order in orders.items() if not broker.give_order(session, order)}
    found = _await(broker, {session: order for session, order in orders.items() if session not in missing}, timeout)
    return [_answer(handle, verb, found.get(handle.session), handle.session in missing, timeout) for handle in chosen]


def _await(broker: Broker, orders: Mapping[str, Order], timeout: float) -> dict[str, Answer]:
    """Look at the details of the sessions until each has its answer or is gone, or the time is over."""
    found: dict[str, Answer] = {}
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and len(found) < len(orders):
        time.sleep(min(LOOK_SECONDS, timeout))
        known = {session.id: session for session in broker.sessions()}
        for session_id, order in orders.items():
            answer = _find(known.get(session_id), order)
            if answer is not None:
                found[session_id] = answer
    return found


def _find(session: SessionInfo | None, order: Order) -> Answer | None:
    if session is not None:
        for given in _details(session.details).get("answers", ()):
            if isinstance(given, dict) and given.get("id") == order.id:
                return msgspec.convert(given, Answer)
    if session is None or session.state is SessionState.DEAD:
        stopped = order.verb == Verb.STOP
        return Answer(id=order.id, done=stopped, text="it has stopped" if stopped else "it has ended meanwhile")
    return None


def _answer(handle: WorkerHandle, verb: Verb, answer: Answer | None, is_missing: bool, timeout: float) -> OrderAnswer:
    if is_missing:
        return OrderAnswer(worker=handle, done=verb is Verb.STOP, text="it does not live any more")
    if answer is None:
        text = f"not answered within {timeout:g} s; the order stands for as long as its session does"
        return OrderAnswer(worker=handle, done=None, text=text)
    return OrderAnswer(worker=handle, done=answer.done, text=answer.text)


def _handle(session: SessionInfo) -> WorkerHandle:
    return WorkerHandle(
        session=session.id,
        name=session.worker,
        host=session.host,
        pid=session.pid,
        state=session.state,
        started_us=session.started_us,
        renewed_us=session.renewed_us,
        details=_details(session.details),
    )


def _details(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
