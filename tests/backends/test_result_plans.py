"""A look at old successes reads little more than its page, however many results there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_jobs.backends.database import DatabaseResultStore
from django_jobs.core.policy import Policy
from django_jobs.core.states import State
from django_jobs.testing.contracts.results import make_result
from tests.backends.test_plans import empty, nodes

RESULTS = 3000
PAGE = 100
NOW_US = 1_700_000_000_000_000


@pytest.fixture
def look(database_alias: str) -> Iterator[list[tuple[str, Any]]]:
    """Give the statements, with their parameters, of a look into the middle of many results."""
    empty(database_alias)
    results = DatabaseResultStore(Policy(database=database_alias))
    for status in (State.SUCCEEDED, State.FAILED):
        results.save_many(
            [
                make_result(f"{status}-{number}", finished_us=NOW_US + number * 1_000_000, status=status)
                for number in range(RESULTS)
            ]
        )
    sent: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connections[database_alias].execute_wrapper(keep):
        after = str(NOW_US + 1_500_500_000)
        page = results.old_successes(older_than_seconds=60, after=after, limit=PAGE)
    assert [job_id for job_id, _ in page.rows[:2]] == ["succeeded-1501", "succeeded-1502"]
    assert len(page.rows) == PAGE
    yield [item for item in sent if "ORDER BY finished_at" in item[0]]
    empty(database_alias)


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_on_postgresql(database_alias: str, look: list[tuple[str, Any]], analyzed: bool) -> None:
    with connections[database_alias].cursor() as cursor:
        if analyzed:
            cursor.execute("ANALYZE django_jobs_jobresult")
        for sql, params in look:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
            found = cursor.fetchone()[0]
            plan = found if isinstance(found, list) else json.loads(found)
            for node in nodes(plan[0]["Plan"]):
                if node["Node Type"] == "Bitmap Index Scan":
                    continue  # it counts what other tests have deleted, too
                assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= PAGE, node


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_on_mysql(database_alias: str, look: list[tuple[str, Any]]) -> None:
    with connections[database_alias].cursor() as cursor:
        for sql, params in look:
            cursor.execute(f"EXPLAIN {sql}", params)
            columns = [column[0] for column in cursor.description]
            (plan,) = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            assert (plan["type"], plan["key"]) == ("range", "django_jobs_result_status")
            assert "filesort" not in (plan["Extra"] or "")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_on_sqlite(database_alias: str, look: list[tuple[str, Any]]) -> None:
    with connections[database_alias].cursor() as cursor:
        for sql, params in look:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            details = [detail for *_, detail in cursor.fetchall()]
            assert any("INDEX django_jobs_result_status (status=? AND finished_at>" in detail for detail in details)
            assert not any("TEMP B-TREE" in detail for detail in details)
