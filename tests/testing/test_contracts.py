"""The contract suites are whole: no case hides another, none is forgotten, each says what it asserts."""

from __future__ import annotations

import pkgutil
from collections import Counter
from importlib import import_module

import pytest

from django_jobs.testing import contracts
from django_jobs.testing.contracts import AtomicContract, BrokerContract, LockContract, ResultStoreContract
from django_jobs.testing.contracts.base import StoreContract

SUITES = [AtomicContract, BrokerContract, LockContract, ResultStoreContract]


def parts() -> list[type[StoreContract]]:
    """Return every class with cases in the modules of the package."""
    names = [f"{contracts.__name__}.{module.name}" for module in pkgutil.iter_modules(contracts.__path__)]
    found = [value for name in names for value in vars(import_module(name)).values() if isinstance(value, type)]
    return [value for value in dict.fromkeys(found) if issubclass(value, StoreContract) and cases(value)]


def cases(of: type[StoreContract]) -> list[str]:
    return [name for name in vars(of) if name.startswith("test_")]


def test_no_case_hides_another() -> None:
    counts = Counter(case for part in BrokerContract.__mro__ if issubclass(part, StoreContract) for case in cases(part))
    assert [case for case, count in counts.items() if count > 1] == []


def test_every_part_belongs_to_a_suite() -> None:
    assert len(parts()) > len(SUITES)
    used = {part for suite in SUITES for part in suite.__mro__}
    assert [part.__name__ for part in parts() if part not in used] == []


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_without_a_store_says_what_is_missing(suite: type[StoreContract]) -> None:
    with pytest.raises(NotImplementedError, match=f"{suite.__name__} has to override the fixture `store`"):
        StoreContract.store.__wrapped__(suite())  # type: ignore[attr-defined]  # the function under the fixture
