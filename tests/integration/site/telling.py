"""Jobs that say how far they are."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from django_jobs import current_job, job
from tests.integration.site.ledger import write


@job(bind=True)
def counts(self: Any, steps: int, gate: str) -> str:
    """Say a thousand things, wait for the gate, say a last one."""
    for step in range(steps):
        self.update_progress(step, steps, f"step {step}")
    self.update_state(state="PROGRESS", meta={"shop": 7})
    write("told", self.request.id, self.request.attempt)
    while not Path(gate).exists():
        time.sleep(0.01)
    self.update_progress(steps, steps, "all of it")
    return "counted"


@job
async def counts_later(gate: str) -> str:
    request = current_job()
    assert request is not None
    request.update_progress(1, 3)
    while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240  a file is what another process can make
        await asyncio.sleep(0.01)
    request.update_progress(3, 3)
    return "counted"
