"""The outbox: what a transaction has committed reaches a broker elsewhere, whatever dies in between."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.integration.harness import ROOT, SETTINGS, Site, until
from tests.services import require

KILLS = int(os.environ.get("TEST_OUTBOX_KILLS", "30"))
"""100 in the long form: TEST_OUTBOX_KILLS=100 pytest tests/integration/test_outbox.py"""

PRODUCER = """
import os, signal, sys
import django
django.setup()
from django.db import connections, transaction
from django_jobs.client import producer
from tests.integration.site import jobs

producer._relay = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)  # after COMMIT, before the send
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        with transaction.atomic():
            jobs.note.delay(f"committed-{number}")
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status
try:
    with transaction.atomic():
        jobs.note.delay("rolled-back")
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
"""


@pytest.fixture
def broker(site: Site) -> Iterator[dict[str, Any]]:
    """Settings of a project whose jobs are in Redis, under a namespace that is dropped after the test."""
    url = f"{require('redis').url}/0"
    namespace = f"test_{secrets.token_hex(6)}"
    yield {"BROKER": url, "OUTBOX": True, "NAMESPACE": namespace}
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"{namespace}*"):
            client.delete(key)


def produce(site: Site, settings: dict[str, Any], script: str, *arguments: str) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.integration.site.settings",
        "DATABASE_URL": site.database.url,
        "JOBS_SETTINGS": json.dumps(SETTINGS | settings),
        "LEDGER": str(site.ledger_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_producers_killed_between_commit_and_send_lose_nothing(site: Site, broker: dict[str, Any]) -> None:
    produce(site, broker, PRODUCER, str(KILLS))
    worker = site.worker("-c", "2", settings=broker).ready()
    committed = {f"committed-{number}" for number in range(KILLS)}
    until(lambda: {entry.key for entry in site.ledger("ran")} >= committed, 60, what=site.said)
    assert sorted(entry.key for entry in site.ledger("ran")) == sorted(committed), "each once, and no rolled back one"
    worker.stop()
    assert worker.ended() == 0


LIVE_PRODUCER = """
import sys
import django
django.setup()
from django.db import transaction
from django_jobs.models import OutboxMessage
from tests.integration.site import jobs
with transaction.atomic():
    for number in range(20):
        jobs.note.delay(f"job-{number}")
assert OutboxMessage.objects.count() == 0, "sent at the commit, and struck"
jobs.note.delay("without-transaction")
assert OutboxMessage.objects.count() == 0
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_producer_that_lives_sends_at_its_commit(site: Site, broker: dict[str, Any]) -> None:
    produce(site, broker, LIVE_PRODUCER)
    worker = site.worker("-c", "1", settings=broker).ready()
    until(lambda: len(site.ledger("ran")) == 21, what=site.said)
    worker.stop()
    assert worker.ended() == 0
    assert len(site.ledger("ran")) == 21


DOWN_PRODUCER = """
import django
django.setup()
from django.db import transaction
from django_jobs.models import OutboxMessage
from tests.integration.site import jobs
with transaction.atomic():
    jobs.note.delay("late")
assert OutboxMessage.objects.count() == 1, "the broker is down: it waits in the outbox"
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("outbox", [True, False], ids=["outbox", "on commit"])
def test_what_is_committed_while_the_broker_is_down_is_sent_later(
    site: Site, broker: dict[str, Any], outbox: bool
) -> None:
    settings = broker | {"OUTBOX": outbox}
    produce(site, settings | {"BROKER": "redis://127.0.0.1:1/0"}, DOWN_PRODUCER)
    site.worker("-c", "1", settings=settings).ready()
    until(lambda: [entry.key for entry in site.ledger("ran")] == ["late"], 40, what=site.said)
