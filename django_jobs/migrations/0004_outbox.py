"""The table of messages on their way to a broker outside of the database."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def tune(apps: Any, schema_editor: Any) -> None:
    """MySQL and MariaDB: every text can be carried, and ids that differ in case are different."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(
            "ALTER TABLE django_jobs_outboxmessage CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0003_periodic_schedule"),
    ]

    operations = [
        migrations.CreateModel(
            name="OutboxMessage",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("message", models.TextField()),
                ("created_us", models.BigIntegerField()),
                ("next_us", models.BigIntegerField()),
                ("taken_by", models.CharField(blank=True, max_length=64)),
                ("failures", models.IntegerField(default=0)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["next_us"], name="django_jobs_outbox_next")],
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]
