"""Every table of the first version."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Due",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "at_us", "job_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at_us", models.BigIntegerField()),
                ("job_id", models.CharField(max_length=64)),
                ("line", models.CharField(max_length=260)),
                ("rank_no", models.SmallIntegerField()),
                ("attempt", models.IntegerField()),
                ("body_bytes", models.IntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("task", models.CharField(max_length=255)),
                ("queue", models.CharField(max_length=128)),
                ("priority", models.SmallIntegerField()),
                ("body", models.TextField()),
                ("body_bytes", models.IntegerField()),
                ("id_given", models.BooleanField()),
                ("enqueued_us", models.BigIntegerField()),
                ("at_us", models.BigIntegerField()),
                ("expires_us", models.BigIntegerField(null=True)),
                ("failures", models.IntegerField()),
                ("crashes", models.IntegerField()),
                ("suspect", models.BooleanField()),
                ("parked", models.BooleanField()),
                ("cancel_requested", models.BooleanField()),
                ("started_us", models.BigIntegerField(null=True)),
                ("attempts", models.TextField()),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MaintenanceLock",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("owner", models.CharField(max_length=100)),
                ("until_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Ready",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "line",
                        "rank_no",
                        "at_us",
                        "job_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("line", models.CharField(max_length=260)),
                ("rank_no", models.SmallIntegerField()),
                ("at_us", models.BigIntegerField()),
                ("job_id", models.CharField(max_length=64)),
                ("attempt", models.IntegerField()),
                ("body_bytes", models.IntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("worker", models.CharField(max_length=255)),
                ("host", models.CharField(max_length=255)),
                ("pid", models.IntegerField()),
                ("state", models.CharField(max_length=16)),
                ("started_us", models.BigIntegerField()),
                ("renewed_us", models.BigIntegerField()),
                ("renewals", models.BigIntegerField()),
                ("details", models.TextField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="TaskDefinition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255, unique=True, verbose_name="name")),
                ("module", models.CharField(blank=True, max_length=255, verbose_name="module")),
                ("doc", models.TextField(blank=True, verbose_name="description")),
                ("queue", models.CharField(max_length=128, verbose_name="queue")),
                ("priority", models.SmallIntegerField(default=0, verbose_name="priority")),
                ("is_async", models.BooleanField(default=False, verbose_name="coroutine")),
                ("signature", models.TextField(blank=True, verbose_name="signature")),
                ("options", models.TextField(default="{}", verbose_name="options")),
                ("missing", models.BooleanField(default=False, verbose_name="missing")),
                ("first_seen_at", models.DateTimeField(verbose_name="first seen")),
                ("last_seen_at", models.DateTimeField(verbose_name="last seen")),
            ],
            options={
                "verbose_name": "task",
                "verbose_name_plural": "tasks",
                "ordering": ["name"],
                "permissions": [("run_task", "Can run a task now")],
            },
        ),
        migrations.CreateModel(
            name="Claimed",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("session_id", models.CharField(max_length=64)),
                ("size", models.IntegerField()),
                ("jobs", models.TextField()),
                ("claimed_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["session_id"], name="django_jobs_claimed_session")],
            },
        ),
        migrations.CreateModel(
            name="JobResult",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name="id")),
                ("task", models.CharField(max_length=255, verbose_name="task")),
                ("queue", models.CharField(max_length=128, verbose_name="queue")),
                ("priority", models.SmallIntegerField(verbose_name="priority")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                            ("quarantined", "quarantined"),
                        ],
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                ("body", models.TextField(verbose_name="message")),
                ("id_given", models.BooleanField()),
                ("result", models.TextField(blank=True, verbose_name="result")),
                ("error_class", models.CharField(blank=True, max_length=255, verbose_name="error")),
                ("error_message", models.TextField(blank=True, verbose_name="error message")),
                ("traceback", models.TextField(blank=True, verbose_name="traceback")),
                ("attempts", models.TextField(blank=True, verbose_name="attempts")),
                ("attempt", models.IntegerField(verbose_name="claims")),
                ("failures", models.IntegerField(verbose_name="failures")),
                ("crashes", models.IntegerField(verbose_name="crashes")),
                ("enqueued_at", models.DateTimeField(verbose_name="enqueued")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started")),
                ("finished_at", models.DateTimeField(verbose_name="finished")),
                ("worker", models.CharField(blank=True, max_length=255, verbose_name="worker")),
            ],
            options={
                "verbose_name": "job result",
                "verbose_name_plural": "job results",
                "ordering": ["-id"],
                "permissions": [
                    ("retry_job", "Can retry an ended job"),
                    ("cancel_job", "Can cancel a job"),
                    ("pause_queue", "Can pause and resume a queue"),
                    ("purge_queue", "Can purge a queue"),
                    ("pause_schedule", "Can pause and resume a schedule"),
                ],
                "indexes": [models.Index(fields=["status", "finished_at"], name="django_jobs_result_status")],
            },
        ),
        migrations.CreateModel(
            name="Mark",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("until_us", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["until_us"], name="django_jobs_mark_until")],
            },
        ),
    ]
