"""The contract suites: one case per rule, run by every store of ours and public for third-party ones.

    class TestOurBroker(BrokerContract):
        @pytest.fixture
        def store(self):
            yield OurHarness()          # a StoreHarness over an empty store

They need pytest. Put `pytest.register_assert_rewrite("django_jobs.testing")` into conftest.py for readable failures.
"""

from __future__ import annotations

from django_jobs.testing.contracts.atomic import AtomicContract
from django_jobs.testing.contracts.cancelling import CancelCases, CancelManyCases, RequeueCases
from django_jobs.testing.contracts.claiming import ClaimCases, NamedClaimCases, SeveralChildrenCases
from django_jobs.testing.contracts.enqueueing import EnqueueCases, TimeCases
from django_jobs.testing.contracts.limiting import ConcurrencyCases, RateCases
from django_jobs.testing.contracts.locks import LockContract
from django_jobs.testing.contracts.ordering import OrderCases
from django_jobs.testing.contracts.pausing import PauseCases, PausedLimitCases, PausedMultitudeCases
from django_jobs.testing.contracts.results import ResultStoreContract
from django_jobs.testing.contracts.sessions import ReleaseCases, RescueCases, SessionCases
from django_jobs.testing.contracts.settling import CrashCases, EndCases, FenceCases, ReturnCases
from django_jobs.testing.contracts.turns import TurnCases
from django_jobs.testing.contracts.uniqueness import UniqueCases, UniqueConflictCases
from django_jobs.testing.contracts.viewing import ProgressCases, UpkeepCases, ViewCases, WaitCases
from django_jobs.testing.harness import StoreHarness


class BrokerContract(
    EnqueueCases,
    TimeCases,
    ClaimCases,
    NamedClaimCases,
    SeveralChildrenCases,
    EndCases,
    ReturnCases,
    CrashCases,
    FenceCases,
    CancelCases,
    CancelManyCases,
    RequeueCases,
    SessionCases,
    RescueCases,
    ReleaseCases,
    OrderCases,
    ProgressCases,
    ViewCases,
    WaitCases,
    UpkeepCases,
    UniqueCases,
    UniqueConflictCases,
    ConcurrencyCases,
    RateCases,
    PauseCases,
    PausedMultitudeCases,
    PausedLimitCases,
    TurnCases,
):
    """Every broker passes this: subclass it and override `store`."""


__all__ = ["AtomicContract", "BrokerContract", "LockContract", "ResultStoreContract", "StoreHarness"]
