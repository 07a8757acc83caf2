"""The table of what is paused."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def tune(apps: Any, schema_editor: Any) -> None:
    """Compare names byte by byte, as 0002 has it for the tables before."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("ALTER TABLE django_jobs_pause CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    elif schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE django_jobs_pause ALTER COLUMN target TYPE varchar(262) COLLATE "C"')
        # Under the C collation the plain index serves prefixes too: the second one of the key is not made at all.
        schema_editor.deferred_sql[:] = [sql for sql in schema_editor.deferred_sql if "_like" not in str(sql)]


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0006_job_progress"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pause",
            fields=[
                ("target", models.CharField(max_length=262, primary_key=True, serialize=False)),
                ("since_us", models.BigIntegerField()),
                ("paused_by", models.CharField(max_length=150)),
                ("reason", models.CharField(max_length=500)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]
