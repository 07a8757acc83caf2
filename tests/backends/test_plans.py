"""Each hot statement is answered by a primary key, in its order, however little the planner knows of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_jobs.backends.database import DatabaseBroker
from django_jobs.backends.database.postgresql import PostgresqlEngine
from django_jobs.core.bounds import Bounds, Limit
from django_jobs.core.claim import ClaimName, Want
from django_jobs.core.policy import Policy
from django_jobs.testing.child import Child, make_bound, make_message, make_outcome

JOBS = 3000


class Watched:
    """A broker of its own connection that keeps the statements which it sends."""

    def __init__(self, alias: str) -> None:
        self.broker = DatabaseBroker(Policy(database=alias)).own()
        self.wrapper = self.broker._connection.wrapper
        self.sent: list[tuple[str, Any]] = []
        self.wrapper.execute_wrappers.append(self._note)

    def _note(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many:
            self.sent.append((sql, params))
        return execute(sql, params, many, context)


@pytest.fixture
def watched(database_alias: str) -> Iterator[Watched]:
    made = Watched(database_alias)
    empty(database_alias)
    made.broker.enqueue_many([make_message() for _ in range(JOBS // 3)])
    for priority in (0, 5):
        made.broker.enqueue_many([make_message(priority=priority) for _ in range(JOBS // 3)])
    made.broker.enqueue_many([make_message(delay_us=3_600_000_000) for _ in range(500)])
    blocked = Bounds(limit=Limit(key="shop.render", slots=1))
    made.broker.enqueue_many([make_bound(bounds=blocked, queue="limited") for _ in range(JOBS // 3)])
    while made.broker.stats()[-1].parked < JOBS // 3 - 1:
        made.broker.ready_queues()
    yield made
    made.broker.close()
    empty(database_alias)


def empty(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        for table in (
            "job", "ready", "due", "claimed", "mark", "jobresult", "session", "limit", "slot", "pause", "turn",
        ):  # fmt: skip
            cursor.execute(f"DELETE FROM django_jobs_{table}")


def statements_of_turns(watched: Watched) -> list[tuple[str, Any]]:
    """Enqueue jobs of 1000 keys, then some of these and of new ones; return what was read for the last of them."""
    for number in range(2):
        watched.broker.enqueue_many(
            [make_bound(bounds=Bounds(fair=f"shop-{key}"), queue="turns") for key in range(number, 1000)]
        )
    watched.sent.clear()
    watched.broker.enqueue_many(
        [make_bound(f"j{key}0", bounds=Bounds(fair=f"shop-{key}"), queue="turns") for key in range(995, 1005)]
    )
    found = [(sql, params) for sql, params in watched.sent if "django_jobs_turn" in sql or "django_jobs_ready" in sql]
    reads = [(sql, params) for sql, params in found if sql.startswith("SELECT")]
    assert len(reads) >= 4, "the head, the last places, and what is to be dropped"
    return reads


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
class TestPostgresql:
    def explain(self, watched: Watched, sql: str, params: Any) -> list[dict[str, Any]]:
        """Return the plan's nodes as the worker's connection gets them, and undo what the statement did."""
        settings, _, statement = sql.rpartition("; ")
        with watched.wrapper.cursor() as cursor:
            cursor.execute("BEGIN")
            if settings:
                cursor.execute(settings)
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", params)
            found = cursor.fetchone()[0]
            cursor.execute("ROLLBACK")
        plan = found if isinstance(found, list) else json.loads(found)
        return list(nodes(plan[0]["Plan"]))

    def rounds(self, watched: Watched, *, slow: bool) -> list[dict[str, Any]]:
        """Claim and settle a few times; return the plan of a round that does both at once."""
        child = Child(watched.broker)
        claims = child.claim(limit=200)
        if slow:
            engine = watched.broker.engine
            assert isinstance(engine, PostgresqlEngine)
            engine._cursor._slow = 10**6  # as under a held snapshot: claims begin at the cursor
            engine._cursor._sweep_at = 1e12
        watched.sent.clear()
        want = Want(name=ClaimName("session-1", 1, 99), queues=("default",), limit=200)
        with watched.wrapper.cursor() as cursor:
            cursor.execute("BEGIN")
            answer = watched.broker.exchange([make_outcome(claim) for claim in claims], want)
            cursor.execute("ROLLBACK")
        assert len(answer.claims) == 200
        ((sql, params),) = [(sql, params) for sql, params in watched.sent if "json_to_recordset" in str(sql)]
        return self.explain(watched, sql, params)

    @pytest.mark.parametrize("slow", [False, True], ids=["from the edge", "from the cursor"])
    @pytest.mark.parametrize("analyzed", [False, True])
    def test_a_round_reads_no_more_than_it_takes(self, watched: Watched, slow: bool, analyzed: bool) -> None:
        if analyzed:
            with watched.wrapper.cursor() as cursor:
                cursor.execute("ANALYZE django_jobs_ready, django_jobs_job, django_jobs_claimed")
        found = self.rounds(watched, slow=slow)
        kinds = {node["Node Type"] for node in found if node.get("Relation Name", "").startswith("django_jobs_")}
        assert kinds <= {"Index Scan", "Index Only Scan", "Tid Scan", "ModifyTable"}, kinds
        for node in found:
            if node.get("Relation Name") in {"django_jobs_ready", "django_jobs_job"}:
                rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                assert rows <= 200, node

    def test_a_turn_is_found_by_keys(self, watched: Watched) -> None:
        for sql, params in statements_of_turns(watched):
            for node in self.explain(watched, sql, params):
                if node.get("Relation Name", "").startswith("django_jobs_"):
                    assert node["Node Type"] in {"Index Scan", "Index Only Scan"}, (sql, node)
                    assert node["Actual Rows"] <= 64, (sql, node)

    def test_django_made_no_second_index_of_a_key(self, watched: Watched) -> None:
        with watched.wrapper.cursor() as cursor:
            cursor.execute("SELECT tablename, indexname FROM pg_indexes WHERE tablename LIKE %s", ["django\\_jobs\\_%"])
            hot = [
                index
                for table, index in cursor.fetchall()
                if table.removeprefix("django_jobs_") in {"job", "ready", "due"}
            ]
        assert sorted(hot) == ["django_jobs_due_pkey", "django_jobs_job_pkey", "django_jobs_ready_pkey"]


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
class TestMysql:
    def test_every_statement_of_a_round_is_answered_by_a_key_without_a_sort(self, watched: Watched) -> None:
        child = Child(watched.broker)
        claims = child.claim(limit=100)
        watched.sent.clear()
        want = Want(name=ClaimName("session-1", 1, 99), queues=("default",), limit=100)
        assert len(watched.broker.exchange([make_outcome(claim) for claim in claims], want).claims) == 100
        statements = [
            (sql, params)
            for sql, params in watched.sent
            if sql.startswith(("SELECT", "DELETE", "UPDATE")) and "FROM" in sql
        ]
        assert len(statements) >= 6
        self.check(watched, statements)

    def test_a_turn_is_found_by_keys(self, watched: Watched) -> None:
        self.check(watched, statements_of_turns(watched))

    def check(self, watched: Watched, statements: list[tuple[str, Any]]) -> None:
        with watched.wrapper.cursor() as cursor:
            for sql, params in statements:
                cursor.execute(f"EXPLAIN {sql}", params)
                columns = [column[0] for column in cursor.description]
                for row in cursor.fetchall():
                    plan = dict(zip(columns, row, strict=True))
                    extra = plan["Extra"] or ""
                    assert "filesort" not in extra, (sql, plan)
                    is_table = not str(plan["table"]).startswith("<")  # else a row of one of the SELECTs inside
                    assert plan["type"] != "ALL" or not is_table or "no matching row" in extra, (sql, plan)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestSqlite:
    def test_every_statement_of_a_round_is_answered_by_a_key_without_a_sort(self, watched: Watched) -> None:
        child = Child(watched.broker)
        claims = child.claim(limit=100)
        watched.sent.clear()
        want = Want(name=ClaimName("session-1", 1, 99), queues=("default",), limit=100)
        assert len(watched.broker.exchange([make_outcome(claim) for claim in claims], want).claims) == 100
        statements = [(sql, params) for sql, params in watched.sent if sql.startswith(("SELECT", "DELETE"))]
        assert len(statements) >= 5
        self.check(watched, statements)

    def test_a_turn_is_found_by_keys(self, watched: Watched) -> None:
        self.check(watched, statements_of_turns(watched))

    def check(self, watched: Watched, statements: list[tuple[str, Any]]) -> None:
        with watched.wrapper.cursor() as cursor:
            for sql, params in statements:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
                for *_, detail in cursor.fetchall():
                    assert "TEMP B-TREE FOR ORDER BY" not in detail, (sql, detail)
                    assert not detail.startswith("SCAN django_jobs_") or "pause" in detail, (sql, detail)  # few rows
