"""The table of schedules."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def tune(apps: Any, schema_editor: Any) -> None:
    """MySQL and MariaDB: every text can be carried, and names that differ in case are different."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(
            "ALTER TABLE django_jobs_periodicschedule CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        )
        for column in ("name", "task"):
            schema_editor.execute(
                f"ALTER TABLE django_jobs_periodicschedule MODIFY {column} varchar(255)"
                " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
            )


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0002_tune_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="PeriodicSchedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255, unique=True, verbose_name="name")),
                ("task", models.CharField(max_length=255, verbose_name="task")),
                ("args", models.TextField(default="[]", verbose_name="arguments")),
                ("kwargs", models.TextField(default="{}", verbose_name="arguments by name")),
                ("crontab", models.CharField(blank=True, max_length=500, verbose_name="crontab")),
                (
                    "day_rule",
                    models.CharField(
                        choices=[("or", "one of the day fields"), ("and", "both day fields")],
                        default="or",
                        max_length=3,
                        verbose_name="day rule",
                    ),
                ),
                ("interval_seconds", models.FloatField(blank=True, null=True, verbose_name="interval (seconds)")),
                ("time_zone", models.CharField(blank=True, max_length=100, verbose_name="time zone")),
                ("queue", models.CharField(blank=True, max_length=128, verbose_name="queue")),
                ("priority", models.SmallIntegerField(blank=True, null=True, verbose_name="priority")),
                ("expires_seconds", models.FloatField(blank=True, null=True, verbose_name="expires after (seconds)")),
                ("paused", models.BooleanField(default=False, verbose_name="paused")),
                (
                    "source",
                    models.CharField(
                        choices=[("code", "code"), ("settings", "settings"), ("admin", "admin")],
                        default="admin",
                        max_length=8,
                        verbose_name="declared in",
                    ),
                ),
                ("missing", models.BooleanField(default=False, verbose_name="missing")),
                ("problem", models.TextField(blank=True, default="", verbose_name="problem")),
                ("digest", models.CharField(blank=True, default="", editable=False, max_length=64)),
                ("next_run_us", models.BigIntegerField(editable=False, null=True, verbose_name="next run")),
                ("last_run_us", models.BigIntegerField(editable=False, null=True, verbose_name="last run")),
                (
                    "last_job_id",
                    models.CharField(blank=True, default="", editable=False, max_length=64, verbose_name="last job"),
                ),
            ],
            options={
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "ordering": ["name"],
                "indexes": [models.Index(fields=["paused", "next_run_us"], name="django_jobs_schedule_next")],
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop, atomic=False),
    ]
