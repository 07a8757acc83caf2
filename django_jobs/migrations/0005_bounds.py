"""What binds jobs to others: unique keys and limits."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

KEY_COLUMNS = {
    "django_jobs_uniquekey": {"name": 255, "job_id": 64},
    "django_jobs_limit": {"name": 255},
    "django_jobs_slot": {"name": 255, "job_id": 64},
}


def tune(apps: Any, schema_editor: Any) -> None:
    """Compare keys byte by byte, as 0002 has it for the tables before."""
    if schema_editor.connection.vendor == "mysql":
        for table in KEY_COLUMNS:
            schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    elif schema_editor.connection.vendor == "postgresql":
        tune_postgresql(schema_editor)


def tune_postgresql(schema_editor: Any) -> None:
    for table, columns in KEY_COLUMNS.items():
        for column, length in columns.items():
            schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
        schema_editor.execute(
            f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)"
        )
    # Under the C collation the plain index serves prefixes too: the second one of each text key is not made at all.
    schema_editor.deferred_sql[:] = [sql for sql in schema_editor.deferred_sql if "_like" not in str(sql)]


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0004_outbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="unique_key",
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.CreateModel(
            name="UniqueKey",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("job_id", models.CharField(max_length=64)),
                ("until_us", models.BigIntegerField(null=True)),
                ("until_start", models.BooleanField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["until_us"], name="django_jobs_unique_until")],
            },
        ),
        migrations.AddField(
            model_name="job",
            name="gate",
            field=models.CharField(max_length=260, null=True),
        ),
        migrations.CreateModel(
            name="Limit",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("slots", models.IntegerField(null=True)),
                ("period_us", models.BigIntegerField(null=True)),
                ("burst", models.IntegerField()),
                ("next_us", models.BigIntegerField()),
                ("timer_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Slot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "name", "job_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("job_id", models.CharField(max_length=64)),
                ("let_in_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]
