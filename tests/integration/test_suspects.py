"""Suspects beside constant load: they get their turn, alone, though no slot is ever free by itself."""

from __future__ import annotations

import pytest

from django_jobs import State
from django_jobs.connections import connections
from django_jobs.core.outcome import Kind
from django_jobs.testing.child import Child
from tests.integration.harness import Site, until
from tests.integration.site import jobs

LOAD = 6000
PROMISED_SECONDS = 5.0 + 1.0
"""A child knows of a suspect within a second, and then waits for five."""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_child_of_two_threads_under_constant_load_makes_room_for_a_suspect(site: Site) -> None:
    suspect = jobs.spend.delay("suspect", 0.3)
    elsewhere = Child(connections.broker, "elsewhere")
    claim = elsewhere.claim_one()
    jobs.spend.delay_many([((f"s{number}", 0.01), {}) for number in range(LOAD)])
    site.worker("-c", "1", "--threads", "2").ready()
    until(lambda: len(site.ledger("end")) >= 20, what=site.said)

    elsewhere.settle(claim, Kind.CRASHED)
    made_at = site.ledger("end")[-1].at
    start = site.started("suspect")
    stored = site.stored(suspect)

    assert (stored.status, stored.crashes) == (State.SUCCEEDED, 0)
    assert 2.0 < start.at - made_at < PROMISED_SECONDS + 3.0
    end = site.ledger("end", "suspect")[0]
    assert [entry.key for entry in site.ledger("start") if start.at < entry.at < end.at] == []
    running = {entry.key for entry in site.ledger("start") if entry.at < start.at} - {
        entry.key for entry in site.ledger("end") if entry.at < start.at
    }
    assert running == set()
    ended = len(site.ledger("end"))
    assert ended < LOAD
    until(lambda: len(site.ledger("end")) > ended + 20, what=site.said)
