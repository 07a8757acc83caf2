"""Turns inside a queue: the key of a job and its place, and where the next job of a key stands."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

TABLE = "django_jobs_turn"
KEY_COLUMNS = {"line": 260, "name": 200, "job_id": 64}


def tune(apps: Any, schema_editor: Any) -> None:
    """Compare keys byte by byte, as 0002 has it for the tables before."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(f"ALTER TABLE {TABLE} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    elif schema_editor.connection.vendor == "postgresql":
        for column, length in KEY_COLUMNS.items():
            schema_editor.execute(f'ALTER TABLE {TABLE} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
        schema_editor.execute(
            f"ALTER TABLE {TABLE} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)"
        )
        # Under the C collation the plain index serves prefixes too: no second one of a text is made.
        schema_editor.deferred_sql[:] = [sql for sql in schema_editor.deferred_sql if "_like" not in str(sql)]


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0009_session_orders"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="fair_key",
            field=models.CharField(max_length=200, null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="place_us",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="Turn",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "line", "rank_no", "name", "next_us", "job_id",
                        blank=True, editable=False, primary_key=True, serialize=False,
                    ),
                ),
                ("line", models.CharField(max_length=260)),
                ("rank_no", models.SmallIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("next_us", models.BigIntegerField()),
                ("job_id", models.CharField(max_length=64)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["line", "rank_no", "next_us"], name="django_jobs_turn_passed")],
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]  # fmt: skip
