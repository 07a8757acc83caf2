"""The table of what running jobs say about themselves."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def tune(apps: Any, schema_editor: Any) -> None:
    """MySQL and MariaDB: every text can be carried, and ids that differ in case are different."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(
            "ALTER TABLE django_jobs_jobprogress CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0005_bounds"),
    ]

    operations = [
        migrations.CreateModel(
            name="JobProgress",
            fields=[
                ("job_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("text", models.TextField()),
                ("updated_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["updated_us"], name="django_jobs_progress_updated")],
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]
