"""What projects and third-party stores use in their tests.

`run_jobs` runs what is due; `JobsMixin` and `fixtures` (a plugin of pytest) say what waits and move the clock;
`memory_stores` takes the place of any store. `contracts` (needs pytest) and `machine` (needs hypothesis too) judge one.
"""

from __future__ import annotations

from django_jobs.testing.drain import run_jobs
from django_jobs.testing.jobs import Jobs
from django_jobs.testing.mixin import JobsMixin
from django_jobs.testing.stores import memory_stores

__all__ = ["Jobs", "JobsMixin", "memory_stores", "run_jobs"]
