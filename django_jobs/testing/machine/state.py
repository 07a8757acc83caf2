"""What the rules of the state machine work on: the store, its views, the model, and what was seen so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Self

from hypothesis.stateful import RuleBasedStateMachine

from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.message import Message
from django_jobs.core.outcome import Outcome, StoredResult
from django_jobs.ports.broker import Broker, Exchanged
from django_jobs.testing.child import make_session
from django_jobs.testing.harness import StoreHarness
from django_jobs.testing.machine.calls import Fence
from django_jobs.testing.machine.inspection import compare_claim
from django_jobs.testing.machine.model import BrokerModel

PAST_LIMIT: Final = 30
"""So many fences and ended jobs are remembered, to be used when they are stale."""


class Seat:
    """A child of one worker: its broker and the numbers of its claims."""

    def __init__(self, broker: Broker, worker: int, child: int) -> None:
        self.broker = broker
        self.worker = worker
        self.child = child
        self.number = 0
        self.lost: tuple[list[Outcome], Want] | None = None
        """An exchange whose answer never came: it is repeated before anything else."""

    def next_name(self, session: str) -> ClaimName:
        self.number += 1
        return ClaimName(session, self.child, self.number)


class MachineState(RuleBasedStateMachine):
    """One fresh store, two workers with two children each over brokers of their own, and the model."""

    make_store: Callable[[], StoreHarness]
    """Returns the harness of an empty store; see `over`."""

    @classmethod
    def over(cls, make_store: Callable[[], StoreHarness]) -> type[Self]:
        """Return the machine for one kind of store."""
        return type(cls.__name__, (cls,), {"make_store": staticmethod(make_store)})

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.model = BrokerModel(marks_own_ids=self.store.marks_own_ids)
        self.people = self.store.broker()
        self.results = self.store.results()
        self.seats = [Seat(self.store.broker(), worker, child) for worker in range(2) for child in range(2)]
        self.sessions = ["", ""]
        self.ids = count(1)
        self.names = count(1)
        self.seen: dict[str, Message] = {}
        self.unknown: set[str] = set()
        self.past: list[Fence] = []
        self.stored: list[StoredResult] = []

    def open_session(self, worker: int) -> None:
        """Give a worker a new session; what its children wait for is lost with the old one."""
        self.sessions[worker] = f"session-{next(self.names)}"
        self.people.open_session(make_session(self.sessions[worker]))
        self.model.open(self.sessions[worker])
        for seat in self.seats:
            if seat.worker == worker:
                seat.lost = None

    def current(self) -> list[Fence]:
        """Return the fences that hold a job now."""
        return [fence for fence in self.past if self._holds(fence)]

    def _holds(self, fence: Fence) -> bool:
        job = self.model.jobs.get(fence.id)
        return job is not None and (job.claim, job.attempt) == (fence.name, fence.attempt)

    def compare_claimed(self, want: Want, ids: list[str]) -> None:
        """Compare what a claim has brought, and let the model hold it."""
        if self.store.exact_claims:
            assert ids == [job.message.id for job in self.model.claim(want)]
        else:
            self.model.accept(want, ids)

    def compare_repeated(self, answer: Exchanged, outcomes: Sequence[Outcome], want: Want) -> None:
        """Compare the answer to an exchange that was made before: nothing settled again, the same jobs."""
        assert sorted(answer.stale) == sorted(outcome.id for outcome in outcomes), "they had been settled"
        held = [job.message.id for job in self.model.held(want.name)]
        assert sorted(claim.message.id for claim in answer.claims) == sorted(held)

    def take(self, answer: Exchanged, want: Want) -> None:
        """Compare each claim of an answer with its job, and remember its fence."""
        if want.suspects and any(claim.suspect for claim in answer.claims):
            assert len(answer.claims) == 1, "a suspect is claimed alone"
        for claim in answer.claims:
            assert claim.name == want.name
            compare_claim(self.model.jobs[claim.message.id], claim, self.model.now)
            self.model.saw(claim)
            self.past.append(Fence(claim.message.id, claim.name, claim.attempt))
        del self.past[:-PAST_LIMIT]
