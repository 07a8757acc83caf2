"""Jobs with hooks, which say in the ledger what the stores know of the job by then."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from django_jobs import AsyncResult, current_job, job
from django_jobs.signals import job_crashed, job_failed, job_quarantined, job_released
from tests.integration.site.ledger import write


def _heard(event: str) -> Any:
    def receive(sender: str, claim: Any, outcome: Any, **_: Any) -> None:
        write(event, claim.message.id, claim.attempt)

    return receive


if os.environ.get("LISTEN"):
    for signal in (job_crashed, job_failed, job_quarantined, job_released):
        name = next(name for name, value in globals().items() if value is signal)
        signal.connect(_heard(name), weak=False, dispatch_uid="site")


def _said(event: str, task_id: str) -> None:
    request = current_job()
    assert request is not None
    assert request.id == task_id
    write(f"{event}:{AsyncResult(task_id).status}", task_id, request.attempt)


def on_success(self: Any, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
    _said("on_success", task_id)


def on_retry(self: Any, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
    _said("on_retry", task_id)


def on_failure(self: Any, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
    _said("on_failure", task_id)
    raise RuntimeError("broken hook")


async def on_success_later(self: Any, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
    await asyncio.to_thread(_said, "on_success", task_id)


@job(on_success=on_success, on_retry=on_retry, on_failure=on_failure, retry_on=(ValueError,), default_retry_delay=0.1)
def followed(failures: int) -> str:
    request = current_job()
    assert request is not None
    if request.retries < failures:
        raise ValueError(failures)
    return "done"


@job(on_success=on_success_later)
async def followed_coroutine() -> str:
    return "done"
