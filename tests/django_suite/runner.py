"""Finds Django's tests, leaves some out, and counts the rest."""

from __future__ import annotations

import unittest
from collections.abc import Collection, Iterator
from typing import Any

from django.test.runner import DiscoverRunner

LABELS = [f"tasks.test_{name}" for name in ("tasks", "dummy_backend", "immediate_backend", "custom_backend")]


class Runner(DiscoverRunner):
    """Runs all but `left_out`."""

    def __init__(self, left_out: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self._left_out = left_out
        self.ran = 0

    def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
        found = _flat(super().build_suite(*args, **kwargs))
        kept = [test for test in found if f"{type(test).__name__}.{test._testMethodName}" not in self._left_out]
        self.ran = len(kept)
        return self.test_suite(kept)


def run(left_out: Collection[str], *, expected: int) -> int:
    """Return 0 where `expected` tests ran and all passed."""
    runner = Runner(left_out, verbosity=1, interactive=False)
    failures: int = runner.run_tests(LABELS)
    print(f"{runner.ran - failures} of {runner.ran} passed; expected {expected} of {expected}.")  # noqa: T201
    return int(failures > 0 or runner.ran != expected)


def _flat(suite: Any) -> Iterator[Any]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test
