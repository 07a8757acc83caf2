"""What each database needs to keep the hot tables fast and their keys exact.

Apart from 0001, because Django creates some indexes only at the end of the migration that made the table.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

HOT_TABLES = (
    "django_jobs_job",
    "django_jobs_ready",
    "django_jobs_due",
    "django_jobs_claimed",
    "django_jobs_session",
    "django_jobs_mark",
    "django_jobs_maintenancelock",
)
KEY_COLUMNS = {
    "django_jobs_job": {"id": 64},
    "django_jobs_ready": {"line": 260, "job_id": 64},
    "django_jobs_due": {"job_id": 64},
    "django_jobs_claimed": {"name": 100, "session_id": 64},
    "django_jobs_session": {"id": 64},
    "django_jobs_mark": {"id": 64},
    "django_jobs_jobresult": {"id": 64},
}


def tune(apps: Any, schema_editor: Any) -> None:
    """Compare keys byte by byte, whatever the database's collation is, and vacuum the hot tables early."""
    if schema_editor.connection.vendor == "postgresql":
        tune_postgresql(schema_editor)
    elif schema_editor.connection.vendor == "mysql":
        tune_mysql(schema_editor)


def tune_postgresql(schema_editor: Any) -> None:
    """Under the C collation the plain index serves prefixes too: Django's second index of each text key goes."""
    for table, columns in KEY_COLUMNS.items():
        for column, length in columns.items():
            schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = ANY (current_schemas(false)) AND tablename = ANY (%s)"
            " AND indexname LIKE %s",
            [[*HOT_TABLES, "django_jobs_jobresult"], "%\\_like"],
        )
        for (name,) in cursor.fetchall():
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")
    for table in HOT_TABLES:
        schema_editor.execute(
            f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,"
            " autovacuum_vacuum_cost_delay = 1)"
        )


def tune_mysql(schema_editor: Any) -> None:
    """Every text can be carried (utf8mb4), and ids and queues that differ in case are different."""
    for table in HOT_TABLES:
        schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    schema_editor.execute(
        "ALTER TABLE django_jobs_jobresult CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    schema_editor.execute(
        "ALTER TABLE django_jobs_jobresult MODIFY id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
    )


class Migration(migrations.Migration):
    dependencies = [("django_jobs", "0001_initial")]

    operations = [migrations.RunPython(tune, migrations.RunPython.noop, atomic=False)]
