"""One child's fetcher and one keeper over the memory broker, in this process, with a boot clock that tests move."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from django_jobs.backends.memory import MemoryBroker, MemoryLock, MemoryResultStore
from django_jobs.backends.memory.store import MemoryStore
from django_jobs.core.claim import Want
from django_jobs.core.message import Message, encode_body, new_id
from django_jobs.core.outcome import Kind, Outcome
from django_jobs.core.policy import Policy
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import BrokerUnavailable
from django_jobs.execution.plan import Plans
from django_jobs.ports.broker import Exchanged
from django_jobs.testing.child import make_session
from django_jobs.worker.fetcher import Fetcher
from django_jobs.worker.keeper import Keeper
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.leave import Quota
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.queues import QueueOrder
from django_jobs.worker.report import Reporter
from django_jobs.worker.settle import HeldClaim
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import ChildSlots, Shared
from django_jobs.worker.stacks import Stacks
from django_jobs.worker.wake import Wake

SESSION = "session-1"


def make_spec(name: str, **given: Any) -> TaskSpec:
    def function(*args: Any) -> Any:
        return args

    return TaskSpec(
        name=name,
        function=function,
        given=given,
        is_async=False,
        module=__name__,
        signature=inspect.signature(function),
    )


class ShakyBroker(MemoryBroker):
    """The memory broker over a line that breaks: `failures` answers are lost after the work was done."""

    failures = 0
    on_want: Callable[[Want], None] = staticmethod(lambda want: None)
    refuses: Callable[[Outcome], bool] = staticmethod(lambda outcome: False)

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        for outcome in outcomes:
            if self.refuses(outcome):
                raise ValueError(f"no store takes {outcome.result}")
        if want is not None:
            self.on_want(want)
        answer = super().exchange(outcomes, want)
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("the answer was lost")
        return answer

    def own(self) -> ShakyBroker:
        return self


@dataclass
class Desk:
    """All of one child but its threads."""

    store: MemoryStore
    broker: ShakyBroker
    policy: Policy = field(default_factory=lambda: Policy(session_renew_seconds=1, session_timeout_seconds=6))
    now: float = 1000.0
    specs: dict[str, TaskSpec] = field(default_factory=lambda: {name: make_spec(name) for name in ("short", "long")})
    pokes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = Shared(2)
        self.slots: ChildSlots = self.shared.children[0]
        self.slots.reset(pid=1, incarnation=1)
        self.wake = Wake()
        self.keeper_wake = Wake()
        self.stacks = Stacks()
        self.open_fence()

    def clock(self) -> float:
        return self.now

    def open_fence(self) -> None:
        self.shared.floats[Word.FENCE_AT] = self.now + 1e6
        self.shared.floats[Word.SUPERVISOR_SIGN] = self.now

    def fetcher(self, *, quota: Quota | None = None, **options: Any) -> Fetcher:
        given: dict[str, Any] = {"runners": 1, "coroutines": 10, "burst": True} | options
        random = Random(1)
        return Fetcher(
            broker=self.broker,
            plans=Plans(self.specs.get, {}),
            shared=self.shared,
            slots=self.slots,
            session=SESSION,
            incarnation=1,
            order=QueueOrder(weights=None, all_weights={}, excluded=frozenset(), random=random),
            reporter=Reporter("w"),
            quota=quota or Quota(max_jobs=None, max_jobs_per_child=None, max_memory_mib=None),
            wake=self.wake,
            random=random,
            default_queue="default",
            clock=self.clock,
            **given,
        )

    def keeper(self, session: str = SESSION, **policy: Any) -> Keeper:
        setup = WorkerSetup(
            options=WorkerOptions(name="w"),
            policy=self.policy,
            find=self.specs.get,
            tasks=tuple(self.specs),
            at_most_once=(),
            open_broker=lambda: self.broker,
            open_results=lambda: MemoryResultStore(store=self.store),
            open_lock=lambda: MemoryLock(store=self.store),
        )
        return Keeper(
            setup,
            session=session,
            shared=self.shared,
            wake=self.keeper_wake,
            poke_supervisor=lambda: self.pokes.append("supervisor"),
            poke_children=lambda: self.pokes.append("children"),
            stacks=self.stacks,
            clock=self.clock,
            random=Random(1),
        )

    def advance(self, seconds: float) -> None:
        """Move the boot clock and the broker's clock; the supervisor lives on."""
        self.now += seconds
        self.broker.shift_clock(seconds)
        self.shared.floats[Word.SUPERVISOR_SIGN] = self.now

    def enqueue(self, task: str = "short", count: int = 1) -> list[str]:
        made = [Message(id=new_id(), task=task, queue="default", body=encode_body([], {})) for _ in range(count)]
        self.broker.enqueue_many(made)
        return [message.id for message in made]

    def open_session(self) -> None:
        self.broker.open_session(make_session(SESSION))

    def succeed(self, fetcher: Fetcher, held: HeldClaim | None, seconds: float = 0.0) -> str:
        """Hand in a success for a started job; return its id."""
        assert held is not None
        claim = held.claim
        outcome = Outcome(id=claim.message.id, name=claim.name, attempt=claim.attempt, kind=Kind.SUCCEEDED, result="1")
        fetcher.finish(held, outcome, seconds)
        return claim.message.id

    def drain(self, fetcher: Fetcher, seconds: float = 0.0) -> list[str]:
        """Run all that is due."""
        done = []
        while (held := fetcher.next()) is not None:
            done.append(self.succeed(fetcher, held, seconds))
        fetcher.close()
        return done

    @property
    def ended(self) -> set[str]:
        return set(self.store.results)

    def held(self) -> int:
        return self.slots[ChildWord.RUNNING] + self.slots[ChildWord.WAITING]


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = MemoryStore()
    made = Desk(store=store, broker=ShakyBroker(store=store))
    yield made
    made.wake.close()
    made.keeper_wake.close()
    made.stacks.close()
