"""What can go wrong with a run."""

from __future__ import annotations


class BenchError(Exception):
    """Raised when a run cannot be done, or has shown that something is broken; the text says what."""


class VoidRun(BenchError):
    """Raised when a run has worked, but its figures say nothing; it is repeated."""
