"""What running jobs say, as another process sees it."""

from __future__ import annotations

from django_jobs import AsyncResult, State
from django_jobs.core.progress import Progress
from tests.integration.harness import Site, until
from tests.integration.site import telling


def told(result: AsyncResult[object]) -> Progress:
    progress = until(lambda: result.progress)
    assert progress is not None
    return progress


def test_progress_is_seen_while_the_job_runs_and_the_last_word_after_it(site: Site) -> None:
    site.worker("-c", "1").ready()
    gate = site.gate()
    result = telling.counts.delay(1000, str(gate))

    until(lambda: told(result).state == "PROGRESS")
    progress = told(result)
    assert (progress.done, progress.total, progress.message, progress.fraction) == (999, 1000, "step 999", 0.999)
    assert (result.status, result.state, result.info) == (State.RUNNING, "PROGRESS", {"shop": 7})
    assert result.result is None

    gate.touch()
    assert result.get(timeout=20) == "counted"
    assert (told(result).done, told(result).message) == (1000, "all of it")
    assert (result.state, result.info) == ("SUCCESS", "counted")


def test_a_coroutine_tells_too(site: Site) -> None:
    site.worker("-c", "1").ready()
    gate = site.gate()
    result = telling.counts_later.delay(str(gate))

    assert told(result).fraction == 1 / 3
    gate.touch()
    assert result.get(timeout=20) == "counted"
    assert told(result).done == 3
