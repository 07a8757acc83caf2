"""What binds jobs to others, kept by processes that know nothing of each other."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial

import pytest

from django_jobs.connections import connections
from django_jobs.testing.child import Child
from tests.integration.harness import ROOT, SETTINGS, Site, Worker, until
from tests.integration.site import jobs

PRODUCERS = 16
KEYS = 60
"""1000 by hand: RACED_KEYS=1000."""

RACE = """
import sys
import django
django.setup()
from django_jobs.connections import connections
from tests.integration.site import jobs
print("up", flush=True)
for line in sys.stdin:
    print(jobs.note_once.delay(line.strip()).id, flush=True)
"""


def start_producer(site: Site) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.integration.site.settings",
        "DATABASE_URL": site.database.url,
        "JOBS_SETTINGS": json.dumps(SETTINGS | site.stores),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, "-c", RACE],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def race(site: Site, keys: int) -> list[set[str]]:
    """Let all producers enqueue each key at once; return for each key the ids that they were given."""
    producers = [start_producer(site) for _ in range(PRODUCERS)]
    try:
        for producer in producers:
            assert producer.stdout is not None
            assert producer.stdout.readline() == "up\n"
        found = []
        for number in range(keys):
            for producer in producers:
                assert producer.stdin is not None
                producer.stdin.write(f"key-{number}\n")
                producer.stdin.flush()
            found.append({producer.stdout.readline().strip() for producer in producers if producer.stdout})
        return found
    finally:
        for producer in producers:
            producer.kill()
            producer.communicate()


@pytest.mark.timeout(900)
def test_sixteen_processes_that_enqueue_one_key_make_one_job(site: Site) -> None:
    keys = int(os.environ.get("RACED_KEYS", KEYS))
    found = race(site, keys)
    assert Counter(map(len, found)) == {1: keys}, "each key has one job, and everybody was told which"
    live = connections.broker.list(limit=keys * 2)
    assert {view.id for view in live} == set.union(*found)
    assert len(live) == keys
    child = Child(connections.broker)
    claims = child.claim(limit=keys)
    assert len(claims) == keys
    child.settle_all(claims)
    assert connections.broker.stats() == []


# -- concurrency -----------------------------------------------------------------------------------------------

JOBS = 90


def most_at_once(site: Site, killed: dict[int, float]) -> int:
    """Return how many jobs ran at the same instant; one of a killed process ran until that was dead."""
    changes: list[tuple[float, int]] = []
    running: dict[int, float] = {}
    for entry in site.ledger():
        if entry.event == "start":
            running[entry.pid] = entry.at
            changes.append((entry.at, 1))
        elif entry.event == "end":
            del running[entry.pid]
            changes.append((entry.at, -1))
    changes += [(killed[pid], -1) for pid in running]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def kill(worker: Worker) -> dict[int, float]:
    """Kill a worker with all its processes; return when each of them was surely dead."""
    processes = worker.processes()
    worker.signal_group(signal.SIGKILL)
    worker.kill()
    for process in processes:
        process.wait(10)
    return {process.pid: time.monotonic() for process in processes}


def have_ended(site: Site, number: int) -> bool:
    return len(site.ledger("end")) >= number


def test_a_number_is_never_exceeded_while_workers_are_killed(site: Site) -> None:
    results = jobs.spend_three.delay_many([((f"k{number}", 0.1), {}) for number in range(JOBS)])
    workers = [site.worker("-c", "2").ready() for _ in range(4)]
    killed: dict[int, float] = {}
    for step in (1, 2, 3):
        until(partial(have_ended, site, step * JOBS // 6), what=f"{step} sixths of the ends")
        killed |= kill(workers.pop(random.randrange(len(workers))))
        workers.append(site.worker("-c", "2").ready())
    for result in results:
        assert site.stored(result, 60).status == "succeeded"
    assert 2 <= most_at_once(site, killed) <= 3, "three, unless the machine is too slow for them to meet"
    assert connections.broker.stats() == []


# -- rates -----------------------------------------------------------------------------------------------------

RATE = 20
SECONDS = 10


def test_a_rate_is_kept_by_two_workers(site: Site) -> None:
    workers = [site.worker("-c", "2").ready() for _ in range(2)]
    jobs.note_paced.delay_many([((f"r{number}",), {}) for number in range(RATE * (SECONDS + 2))])
    until(lambda: len(site.ledger("ran")) >= RATE * SECONDS + 1, SECONDS * 2, what="the starts")
    at = sorted(entry.at for entry in site.ledger("ran"))
    taken = at[RATE * SECONDS] - at[0]
    assert taken == pytest.approx(SECONDS, rel=0.05)
    for worker in workers:
        worker.stop()
        assert worker.ended() == 0
